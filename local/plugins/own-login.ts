import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { NotInstalled } from '../../kit/src/database/not-installed.ts'
import { findBinaries } from '../../kit/src/database/postgres-binaries.ts'
import type { CataloguedServer } from '../servers/catalogue.ts'
import { buildPlugin } from './build.ts'

/** What asks for tokens in the place of RDS's own, as the tables of the tests call it. */
export const ownLogins: Readonly<Record<CataloguedServer['kind'], string>> = {
  postgres: 'PAM',
  mysql: 'AWSAuthenticationPlugin',
  mariadb: 'AWSAuthenticationPlugin',
}

/**
 * Builds what has a server ask for tokens by itself, with no gateway before it.
 *
 * @param installation The folder of a PostgreSQL, in place of npm's.
 * @returns The path of the library.
 * @throws {NotInstalled} In one line, where this machine or this server cannot have it.
 */
export async function buildOwnLogin(kind: CataloguedServer['kind'], installation?: string): Promise<string> {
  if (kind === 'postgres') {
    const { postgres } = findBinaries(undefined, tmpdir(), installation)
    if (!hasPam(postgres)) throw new NotInstalled('this PostgreSQL is built without PAM')
    if (process.getuid?.() !== 0 || !existsSync('/etc/pam.d'))
      throw new NotInstalled('a service of PAM needs root, and an /etc/pam.d')
  }
  try {
    return await buildPlugin(kind === 'postgres' ? 'pam' : kind)
  } catch (error) {
    throw new NotInstalled(`${ownLogins[kind]} cannot be built: ${(error as Error).message}`)
  }
}

/** Whether a PostgreSQL needs the library of PAM, as its program, or the one behind its script, tells the loader. */
function hasPam(program: string): boolean {
  const files = [program, `${program}.elf`].filter(file => existsSync(file))
  return files.some(file => readFileSync(file).includes('libpam.so'))
}
