import { chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type Mysql, startMysql } from '../../kit/src/database/mysql.ts'
import { NotInstalled } from '../../kit/src/database/not-installed.ts'
import { findBinaries } from '../../kit/src/database/postgres-binaries.ts'
import type { CataloguedServer, FoundServer } from '../servers/catalogue.ts'
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

/** A library where a server can read it, whoever it runs as. */
export interface LentLibrary {
  readonly folder: string
  readonly name: string
  remove(): void
}

export function lendLibrary(library: string): LentLibrary {
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-login-'))
  const name = basename(library)
  copyFileSync(library, join(folder, name))
  chmodSync(join(folder, name), 0o755)
  chmodSync(folder, 0o755)
  return { folder, name, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/**
 * Has a server load the plugin, by RDS's name of it.
 *
 * @throws {NotInstalled} Where it does not take it: its interface may be of another time.
 */
export async function installPlugin(server: Pick<Mysql, 'query'>, { name }: LentLibrary): Promise<void> {
  try {
    await server.query(`INSTALL PLUGIN ${ownLogins.mysql} SONAME '${name}'`)
  } catch (error) {
    throw new NotInstalled(`the server does not load it: ${(error as Error).message}`)
  }
}

/**
 * Finds out whether a server can ask for tokens by itself.
 *
 * @throws {NotInstalled} In one line, where it cannot.
 */
export async function tryOwnLogin({ kind, programs }: FoundServer): Promise<void> {
  const library = await buildOwnLogin(kind, programs.postgres)
  if (kind === 'postgres') return
  const lent = lendLibrary(library)
  try {
    const settings = { 'plugin-dir': lent.folder }
    const server = await startMysql({ kind, program: programs.mysql, settings })
    await installPlugin(server, lent).finally(() => server.stop())
  } finally {
    lent.remove()
  }
}
