import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UsageError } from './arguments.ts'

/**
 * Writes the certificate to trust.
 *
 * @param path Where to; a temporary file, which ends with this process, where it is missing.
 */
export function writeCaFile(ca: string, path = temporaryPath()): string {
  try {
    writeFileSync(path, ca)
  } catch (error) {
    throw new UsageError(`--ca-file: ${error instanceof Error ? error.message : 'cannot be written'}`)
  }
  return path
}

function temporaryPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rds-iam-gateway-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'ca.pem')
}
