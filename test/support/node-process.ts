import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * For `middy-rds-iam` to be this checkout's sources, not what was built from them some time; and for these to be
 * compiled once.
 */
export const nodeFlags = [
  '--conditions=middy-rds-iam-source',
  `--import=${new URL('compile-cache.mjs', import.meta.url).href}`,
] as const

/**
 * Runs an ES module's source in a Node process of its own, and parses the JSON that it prints.
 *
 * @param source The module; it finds packages as the repository's own files do.
 * @param env All the environment variables that it gets, besides a path and an empty home.
 */
export async function runModule(
  source: string,
  env: Readonly<Record<string, string>> = {},
  cwd: string = new URL('../..', import.meta.url).pathname,
): Promise<unknown> {
  const { stdout } = await run(process.execPath, [...nodeFlags, '--input-type=module', '--eval', source], {
    cwd,
    env: { PATH: process.env.PATH ?? '', HOME: `${tmpdir()}/nobody`, ...env },
    timeout: 60_000,
  })
  return JSON.parse(stdout)
}
