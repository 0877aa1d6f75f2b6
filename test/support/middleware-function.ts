import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after } from 'node:test'
import { type FunctionProcess, startFunction } from '../../local/function-process.ts'

// Inside the repository, so that the packages that the functions import are found.
const local = new URL('../../.local', import.meta.url).pathname
mkdirSync(local, { recursive: true })
const folder = mkdtempSync(join(local, 'function-'))
after(() => rmSync(folder, { recursive: true, force: true }))

let files = 0

/** Starts a function with this text in a process of its own, stopped after the test file's last test. */
export async function startModule(
  source: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<FunctionProcess> {
  files += 1
  writeFileSync(join(folder, `function-${files}.mjs`), source)
  const started = await startFunction({
    name: 'Module',
    folder,
    handler: `function-${files}.handler`,
    environment: { AWS_REGION: 'eu-west-1', ...environment },
    timeoutMs: 30_000,
  })
  after(() => started.stop())
  return started
}

/** A file of `src/`, for an import. */
export const sourceOf = (file: string): string =>
  JSON.stringify(new URL(`../../src/${file}`, import.meta.url).href)
