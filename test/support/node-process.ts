import { execFile } from 'node:child_process'
import * as module from 'node:module'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * For `middy-rds-iam` to be this checkout's sources, not what was built from them some time; for these to be
 * compiled once; and what this process was given for running TypeScript, where Node.js does not by itself.
 */
export const nodeFlags: readonly string[] = [
  '--conditions=middy-rds-iam-source',
  `--import=${new URL('compile-cache.mjs', import.meta.url).href}`,
  ...process.execArgv.filter(flag => /^--import=(?!.*compile-cache)/.test(flag)),
]

/** Why a test is skipped that has to see what a process loads. */
export const cannotSeeLoading: string | false =
  !('registerHooks' in module) && `Node.js ${process.versions.node} cannot tell what is loaded; 22.15 can`

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
