import { linkSync, readFileSync, rmSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type Authority, makeAuthorityPem, openAuthority } from '../gateway/certificate.ts'
import { UsageError } from './arguments.ts'
import { makeFolder, orRefuse, writeBeside, writeWhole } from './kept-files.ts'

/** An authority that clients can trust beyond one start. */
export interface KeptAuthority {
  readonly authority: Authority
  /** The path of the file with its certificate, for clients. */
  readonly caFile: string
}

/**
 * Takes the authority that a folder keeps, and makes one where there is none. Its certificate and its private
 * key are one file, `authority.pem`, so that they always belong together; `ca.pem` has the certificate alone.
 *
 * One that is no authority, ends, or was open to others is replaced, and that is said: clients have to be
 * told.
 *
 * @throws {UsageError} Where a file cannot be read or written.
 */
export async function keepAuthority(
  folder: string,
  tell: (line: string) => void = console.error,
): Promise<KeptAuthority> {
  makeFolder(folder)
  const path = join(folder, 'authority.pem')
  const caFile = join(folder, 'ca.pem')
  let kept = orRefuse(path, () => read(path))
  if (kept.authority === undefined) {
    const made = await makeAuthorityPem('RDS IAM gateway')
    if (kept.problem !== undefined)
      tell(`${path} ${kept.problem}: a new authority takes its place. Clients have to trust ${caFile} again.`)
    kept = orRefuse(path, () => replace(path, kept.text, made))
  }
  const { authority, problem } = kept
  if (authority === undefined) throw new UsageError(`${path} ${problem}, which it was not a moment ago`)
  orRefuse(caFile, () => writeWhole(caFile, authority.ca, 0o644))
  return { authority, caFile }
}

interface Kept {
  readonly text?: string
  readonly authority?: Authority
  /** What is wrong with it, as a clause. */
  readonly problem?: string
}

function read(path: string): Kept {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
  // On Windows, modes say nothing.
  if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
    return { text, problem: 'may be read by others' }
  try {
    return { text, authority: openAuthority(text) }
  } catch (error) {
    return { text, problem: (error as Error).message }
  }
}

/**
 * Puts an authority in the place of a broken one, or of none. Where another gateway was faster, its authority
 * is taken: a link is made only where there is no file, and a file is removed only as long as it is the
 * broken one.
 */
function replace(path: string, broken: string | undefined, made: string): Kept {
  const beside = writeBeside(path, made, 0o600)
  try {
    if (broken !== undefined)
      unless('ENOENT', () => readFileSync(path, 'utf8') === broken && unlinkSync(path))
    unless('EEXIST', () => linkSync(beside, path))
  } finally {
    rmSync(beside, { force: true })
  }
  return read(path)
}

/** Acts, and takes one error for no error. */
function unless(code: string, act: () => unknown): void {
  try {
    act()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== code) throw error
  }
}
