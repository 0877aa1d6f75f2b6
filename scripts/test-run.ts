import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { root } from '../local/template.ts'
import type { Result } from '../test/support/results-reporter.ts'
import type { Run } from './server-table.ts'

/** How long the tests of one run may take; it ends a file of tests that goes on for ever, too. */
const limitMs = 15 * 60_000

export interface TestRun {
  /** For the table: `'PostgreSQL 14.18, MySQL 8.0.15'` for example. */
  readonly title: string
  readonly files: readonly string[]
  /** The script that asks, which a run that failed as a whole is counted for. */
  readonly script: string
  /** Variables besides those of this process. */
  readonly env?: Readonly<Record<string, string>>
  /** The checkout that the files are of. Without it, this one. */
  readonly cwd?: string
  /** The Node.js that runs them. Without it, the one that runs this. */
  readonly node?: string
  /** What Node.js is told first. Without it, what this process was told. */
  readonly flags?: readonly string[]
  /** The path of `results-reporter`, relative to the checkout. */
  readonly reporter?: string
}

/** Runs files of tests, says at once what failed, and gives all results. */
export async function runTests({
  title,
  files,
  script,
  env = {},
  cwd = root,
  node = process.execPath,
  flags = process.execArgv,
  reporter = './test/support/results-reporter.ts',
}: TestRun): Promise<Run> {
  console.log(`\n== ${title}`)
  const startedMs = Date.now()
  const runner = ['--test', '--test-concurrency=4', '--test-timeout=600000', `--test-reporter=${reporter}`]
  const child = spawn(node, [...flags, ...runner, ...files], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: limitMs,
  })
  const ended = once(child, 'close')
  const results: Result[] = []
  const add = (result: Result) => {
    results.push(result)
    if (result.failed !== undefined) console.log(`✖ ${result.file}: ${result.name}\n  ${result.failed}`)
  }
  for await (const line of createInterface({ input: child.stdout })) add(JSON.parse(line))
  const [code, signal] = await ended
  const ownFailure = { file: script, name: 'the run' }
  if (child.killed) add({ ...ownFailure, failed: `it was ended after ${limitMs / 60_000} minutes` })
  else if (results.length === 0 || (code !== 0 && results.every(({ failed }) => failed === undefined)))
    add({ ...ownFailure, failed: `node --test ended with ${code ?? signal}, after ${results.length} tests` })
  const seconds = Math.round((Date.now() - startedMs) / 1000)
  const failed = results.filter(result => result.failed !== undefined).length
  console.log(`${results.length} tests, ${failed} failed, in ${seconds} s`)
  return { title, results }
}

export const hasFailed = (runs: readonly Run[]): boolean =>
  runs.some(({ results }) => results.some(({ failed }) => failed !== undefined))
