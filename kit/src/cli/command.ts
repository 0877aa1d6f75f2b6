import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { RdsIamError } from 'middy-rds-iam'

/** One command of `middy-rds-iam`. */
export interface Command {
  readonly help: string
  /** @returns The status that the process ends with: 0, or 1 where what was asked about is wrong. */
  run(args: readonly string[]): Promise<number>
}

/** The command line is wrong; the message says what. */
export class UsageError extends Error {}

/** Reads options and, where a command takes them, words. */
export function readArguments<T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
  { words = false }: { readonly words?: boolean } = {},
) {
  const { values, positionals, tokens } = parse(args, options, words)
  const given = tokens.flatMap(token => (token.kind === 'option' ? [token.name] : []))
  // The last one would be taken without a word.
  const twice = given.find((name, index) => given.indexOf(name) < index && !options[name]?.multiple)
  if (twice !== undefined) throw new UsageError(`--${twice} is given twice`)
  return { values, words: positionals }
}

function parse<T extends ParseArgsOptionsConfig>(args: readonly string[], options: T, words: boolean) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: words, tokens: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/**
 * Calls a function of the package's with what the command line says, and names options as the command line does where they are wrong:
 * `--resource-id` in place of `resourceId`.
 */
export function callWithFlags<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    if (!(error instanceof RdsIamError) || error.code !== 'RDS_IAM_OPTIONS') throw error
    const toFlag = (name: string) => `--${name.replace(/[A-Z]/g, capital => `-${capital.toLowerCase()}`)}`
    const message = error.message
      .replace(/^\w+: /, '')
      .replace(/^- `(\w+)(?:\[\d+\])?`/gm, (_, name: string) => `- ${toFlag(name)}`)
    throw new UsageError(message)
  }
}
