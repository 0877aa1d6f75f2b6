import assert from 'node:assert/strict'
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { nodeFlags } from '../../../test/support/node-process.ts'

/** The command line of `rds-iam`, for `spawn`. */
export const program = [
  process.execPath,
  ...nodeFlags,
  fileURLToPath(new URL('../../src/cli/rds-iam.ts', import.meta.url)),
] as const

/** A folder for the files of a test; `tmp` in it is where `rds-iam` makes its own. */
export const folder = mkdtempSync(join(tmpdir(), 'rds-iam-exec-test-'))
const temporary = join(folder, 'tmp')
mkdirSync(temporary)
after(() => rmSync(folder, { recursive: true }))

/** What `rds-iam` has left in the folder for temporary files. */
export function leftovers(): string[] {
  return readdirSync(temporary)
}

/** Nothing of this machine's own but the programs. */
export const environment = {
  PATH: process.env.PATH ?? '',
  HOME: folder,
  TMPDIR: temporary,
  AWS_EC2_METADATA_DISABLED: 'true',
}

export type Variables = Readonly<Record<string, string>>

/** Starts `rds-iam exec`. */
export function startExec(args: readonly string[], env: Variables, options: SpawnOptions = {}): ChildProcess {
  const [node, ...rest] = program
  return spawn(node, [...rest, 'exec', ...args], {
    cwd: import.meta.dirname,
    env: { ...environment, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...options,
  })
}

/** Runs `rds-iam exec` to its end; nothing of it may be left behind. */
export async function runExec(args: readonly string[], env: Variables = {}, input = '') {
  const child = startExec(args, env)
  child.stdin?.end(input)
  const { stdout, stderr } = child
  assert.ok(stdout && stderr)
  const [[status, signal], output, errors] = await Promise.all([
    once(child, 'exit'),
    text(stdout),
    text(stderr),
  ])
  assert.doesNotMatch(errors, /^ {4}at /m, 'no stack')
  assert.deepEqual(leftovers(), [])
  return { status, signal, stdout: output, stderr: errors }
}

/** Runs what should work. */
export async function printExec(args: readonly string[], env: Variables, input?: string): Promise<string> {
  const { status, stdout, stderr } = await runExec(args, env, input)
  assert.deepEqual([status, stderr], [0, ''])
  return stdout
}

/** For the option `skip` of a test that needs a program. */
export function missing(...names: readonly string[]): string | false {
  const name = names.find(name => spawnSync(name, ['--version']).error !== undefined)
  return name === undefined ? false : `there is no ${name} on this machine`
}

/** The words that run a piece of JavaScript, which finds packages as the tests do. */
export function script(source: string): readonly [string, ...string[]] {
  return [process.execPath, '--input-type=module', '--eval', source]
}
