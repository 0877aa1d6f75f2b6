import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What is deployed of a function, and the file in it that has the handler. */
export interface Bundle {
  readonly folder: string
  readonly file: string
}

/** What an invocation ended with. */
export interface Invoked {
  readonly result?: unknown
  readonly error?: { readonly code?: string; readonly message: string }
}

// Loads the handler and calls it, with the time that is left, as Lambda's runtime does.
const runtime = `
  const { handler } = await import(process.env.BUNDLE)
  const context = { getRemainingTimeInMillis: () => 4_000 }
  const invoked = await handler(JSON.parse(process.env.EVENT), context).then(
    result => ({ result }),
    ({ code, message }) => ({ error: { code, message } }),
  )
  process.stdout.write(JSON.stringify(invoked), () => process.exit(0))`

/**
 * Invokes a bundled function in a process of its own, from a folder that has nothing but the bundle, and with
 * no environment variables but those of Lambda and its own.
 */
export async function invoke(
  bundle: Bundle,
  environment: Readonly<Record<string, string>>,
  event: unknown = {},
): Promise<Invoked> {
  const folder = mkdtempSync(join(tmpdir(), 'lambda-'))
  try {
    cpSync(bundle.folder, folder, { recursive: true })
    const env = {
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      AWS_LAMBDA_FUNCTION_NAME: 'orders',
      BUNDLE: join(folder, bundle.file),
      EVENT: JSON.stringify(event),
      ...environment,
    }
    const args = ['--input-type=module', '--eval', runtime]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, env })
    // A handler may write lines to its log before.
    return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1)) as Invoked
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
