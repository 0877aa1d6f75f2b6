import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { UsageError } from './arguments.ts'

/** A command and its arguments. */
export type Words = readonly [string, ...string[]]

/** How a command ended: with a status, or by a signal. */
export type Ending = { readonly status: number } | { readonly signal: NodeJS.Signals }

/** What asks a program to end. */
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/** Those that a terminal sends, by Ctrl-C and Ctrl-\, to all processes of the command line by itself. */
const terminalSignals: readonly string[] = ['SIGINT', 'SIGQUIT']

/**
 * Runs a command with this process's standard streams until it ends, and passes signals on to it.
 *
 * @param prepare Gives the command's environment. It is called when a signal can no longer end this process.
 * @throws {UsageError} Where the command cannot be started.
 */
export async function runCommand(words: Words, prepare: () => NodeJS.ProcessEnv): Promise<Ending> {
  // A second Ctrl-C would end many a command in the middle of its tidying up, so the terminal's is not sent twice.
  const ownSignals = hasTerminal() ? terminalSignals : []
  let pass = (_: NodeJS.Signals): void => {}
  const listener = (signal: NodeJS.Signals) => {
    if (!ownSignals.includes(signal)) pass(signal)
  }
  for (const signal of endingSignals) process.on(signal, listener)
  try {
    const child = await start(words, prepare())
    // A command that runs as somebody else may not be sent any.
    child.on('error', () => {})
    pass = signal => void child.kill(signal)
    return await endingOf(child)
  } finally {
    for (const signal of endingSignals) process.removeListener(signal, listener)
  }
}

async function start([command, ...args]: Words, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  try {
    const child = spawn(command, args, { stdio: 'inherit', env })
    await once(child, 'spawn')
    return child
  } catch (error) {
    throw new UsageError(notStarted(command, error as NodeJS.ErrnoException))
  }
}

function endingOf(child: ChildProcess): Promise<Ending> {
  return new Promise(resolve => {
    child.once('exit', (status, signal) => resolve(signal === null ? { status: status ?? 1 } : { signal }))
  })
}

/**
 * Ends this process as the command ended, so that whoever started it sees no difference.
 *
 * @returns The status to end with, where no signal ended this process.
 */
export function endAs(ending: Ending): number {
  if ('status' in ending) return ending.status
  const { signal } = ending
  if (!dumpSignals.includes(signal)) process.kill(process.pid, signal)
  // As a shell has it.
  return 128 + constants.signals[signal]
}

/** They leave an image of the memory on the disk, which has the token in it. */
const dumpSignals: readonly string[] = [
  ...['SIGQUIT', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS'],
  ...['SIGFPE', 'SIGSEGV', 'SIGXCPU', 'SIGXFSZ', 'SIGSYS'],
]

/** Whether a terminal controls this process, so that its Ctrl-C reaches the command without help. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

function notStarted(command: string, { code, message }: NodeJS.ErrnoException): string {
  const name = JSON.stringify(command)
  if (code === 'ENOENT' || (code === 'EACCES' && !isFound(command)))
    return `the command ${name} is not there: neither a file of that name nor on PATH`
  if (code === 'EACCES') return `the command ${name} may not be run: it is no program, or not this user's`
  return `the command ${name} cannot be started: ${message}`
}

/** A folder of the PATH that this user cannot enter has EACCES said of every command that is nowhere. */
function isFound(command: string): boolean {
  if (command.includes('/')) return true
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.some(folder => existsSync(join(folder, command)))
}
