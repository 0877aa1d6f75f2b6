import { readFileSync } from 'node:fs'
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { RdsIamError } from 'middy-rds-iam'
import type { Endpoint } from 'middy-rds-iam/identifiers'
import { makePrintable, paint } from './paint.ts'

/** The command line is wrong; the message says what. */
export class UsageError extends Error {}

/** Says what may be wrong with a command line that is taken all the same. */
export function warn(message: string): void {
  process.stderr.write(`${paint('yellow', 'warning', process.stderr)} ${makePrintable(message)}\n`)
}

/** Reads the flags of a command line and, where a command takes them, words. */
export function readArguments<T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
  { words = false }: { readonly words?: boolean } = {},
) {
  const { values, positionals, tokens } = parse(args, options, words)
  const given = tokens.flatMap(token => (token.kind === 'option' ? [token.name] : []))
  // The last one would be taken without a word, of two policies for example.
  const twice = given.find((name, index) => given.indexOf(name) < index && !options[name]?.multiple)
  if (twice !== undefined) throw new UsageError(`--${twice} is given twice`)
  // A variable that is not set, in a shell: it would be refused in words that puzzle, or taken for none.
  const empty = tokens.find(token => token.kind === 'option' && token.value === '')
  if (empty?.kind === 'option')
    throw new UsageError(`--${empty.name} is empty; give it a value, or leave it out`)
  return { values, words: positionals }
}

function parse<T extends ParseArgsOptionsConfig>(args: readonly string[], options: T, words: boolean) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: words, tokens: true })
  } catch (error) {
    // Of words that begin with a dash, which no command has.
    throw new UsageError(messageOf(error).replace(/\. To specify a positional argument [\s\S]*$/, ''))
  }
}

export function readNumber(flag: string, text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new UsageError(`${flag} is not a whole number; got ${JSON.stringify(text)}`)
}

export function readEngine(text: string): 'postgres' | 'mysql' {
  if (text === 'postgres' || text === 'mysql') return text
  throw new UsageError(`--engine is neither postgres nor mysql; got ${JSON.stringify(text)}`)
}

/** Reads `host:port`. What is wrong with the two, the options say. */
export function readAddress(flag: string, text: string): Endpoint {
  const [, host, port] = /^(.+):(\d+)$/.exec(text) ?? []
  if (host === undefined) throw new UsageError(`${flag} is not host:port; got ${JSON.stringify(text)}`)
  // An IPv6 address is written in brackets in front of a port.
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
}

/** Reads `host[:port]`. What is wrong with its parts, the options say. */
export function readEndpoint(flag: string, text: string): { host: string; port?: number } {
  return /:\d+$/.test(text) ? readAddress(flag, text) : { host: text }
}

/** Reads the file that a flag or a word names, and makes something of its text. `-` is the standard input. */
export function readInput<T>(name: string, path: string, parse: (text: string) => T): T {
  if (path === '-') claimStandardInput(name)
  try {
    return parse(decodeText(readFileSync(path === '-' ? 0 : path)))
  } catch (error) {
    throw new UsageError(`${name}: ${messageOf(error)}`)
  }
}

let inputReader: string | undefined

/** The second one would find it empty. */
function claimStandardInput(name: string): void {
  if (inputReader !== undefined)
    throw new UsageError(`${name}: the standard input can be read once, and ${inputReader} has read it`)
  inputReader = name
}

/** Decodes UTF-8 and UTF-16: what PowerShell writes to a file is UTF-16, with a byte order mark. */
function decodeText(bytes: Buffer): string {
  const [first, second] = bytes
  const isBig = (first === 0xfe && second === 0xff) || (first === 0 && second !== 0)
  const isLittle = (first === 0xff && second === 0xfe) || (first !== 0 && second === 0)
  const encoding = isBig ? 'utf-16be' : isLittle ? 'utf-16le' : 'utf-8'
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    throw new Error('is neither UTF-8 nor UTF-16')
  }
}

/**
 * Calls a function with what the command line says, and names options as the command line does where they are
 * wrong: `--resource-id` in place of `resourceId`.
 *
 * @param flags The flags of options that are called otherwise: `{ users: 'user' }`.
 * @param remedies What the command line can do in place of what the words of an error advise.
 */
export async function callWithFlags<T>(
  call: () => T | Promise<T>,
  flags: Readonly<Record<string, string>> = {},
  remedies: Readonly<Record<string, string>> = {},
): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (!(error instanceof RdsIamError) || error.code !== 'RDS_IAM_OPTIONS') throw error
    // Environment variables, in capitals, stay as they are.
    const toFlag = (_: string, name: string) => `- --${flagOf(name, flags)}`
    let message = error.message.replace(/^\w+: /, '').replace(/^- `([a-z][^`]*)`/gm, toFlag)
    for (const [advice, instead] of Object.entries(remedies)) message = message.replaceAll(advice, instead)
    throw new UsageError(message)
  }
}

/** `policy.document.Statement[0]` is `policy .Statement[0]`, where `policy.document` is called `policy`. */
function flagOf(name: string, flags: Readonly<Record<string, string>>): string {
  const isPartOf = (option: string) =>
    name === option || (name.startsWith(option) && /^[.[]/.test(name.slice(option.length)))
  const option = Object.keys(flags).find(isPartOf)
  const part = name.slice(option?.length ?? name.length).replace(/^\[\d+\]/, '')
  const flag = option === undefined ? undefined : flags[option]
  const spelled = name.replace(/\[\d+\]$/, '').replace(/[A-Z]/g, capital => `-${capital.toLowerCase()}`)
  return `${flag ?? spelled}${part === '' ? '' : ` ${part}`}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
