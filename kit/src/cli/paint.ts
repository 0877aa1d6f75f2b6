import type { WriteStream } from 'node:tty'
import { styleText } from 'node:util'

/**
 * Colours a text where it goes to a terminal that has colours, and nobody set NO_COLOR.
 *
 * @see https://no-color.org
 */
export function paint(
  style: 'red' | 'yellow' | 'green',
  text: string,
  stream: Partial<Pick<WriteStream, 'isTTY' | 'hasColors'>>,
): string {
  // hasColors() looks at NO_COLOR, FORCE_COLOR and TERM.
  const isColoured = stream.isTTY === true && stream.hasColors?.() === true
  return isColoured ? styleText(style, text, { validateStream: false }) : text
}

/** Takes out what a terminal would obey. The words of a parser or a server may quote a file that is no text. */
export function makePrintable(message: string): string {
  return message.replace(/(?![\n\t])\p{Cc}/gu, '\ufffd')
}
