import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const folder = fileURLToPath(new URL('..', import.meta.url))

/** Runs `rds-iam` as `npx` does, with the environment of a development database. */
export async function run(environment: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const command = ['exec', '--no', '--', 'rds-iam', 'exec', ...args]
  const env = { ...process.env, ...environment }
  const { stdout, stderr } = await promisify(execFile)('npm', command, { cwd: folder, env })
  assert.doesNotMatch(stdout + stderr, /X-Amz-Signature/)
}

/** Both ways to the database: by the command itself, and through the proxy. */
export const ways = [
  ['', []],
  [' through the proxy', ['--proxy']],
] as const
