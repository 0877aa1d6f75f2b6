import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, cpSync, mkdirSync, readdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type mysql from 'mysql2/promise'
import { startOnFreePort } from './free-port.ts'
import { findMysqlProgram, type MysqlKind, type MysqlProgram } from './mysql-program.ts'
import { onExit } from './on-exit.ts'
import { loadDriver } from './packages.ts'
import type { Server } from './server.ts'
import { makeServerFolder, type ServerFolder } from './server-folder.ts'

// MySQL 8 would make keys and a certificate otherwise, and so take TLS; older versions do not know the option.
const withoutCertificates = '--loose-auto-generate-certs=OFF'

export type { MysqlKind } from './mysql-program.ts'

/** A running MySQL or MariaDB, whose superuser is `root`. */
export interface Mysql extends Server {
  readonly kind: MysqlKind
  /** As the server says it, `'10.11.19-MariaDB-0+deb12u1'` or `'5.6.24'` for example. */
  readonly version: string
}

export interface MysqlOptions {
  /** Which of the two it must be. @default what is installed, else MySQL from npm */
  readonly kind?: MysqlKind
  /** The server to start, in place of the one that is found. */
  readonly program?: MysqlProgram | undefined
  /**
   * The port to try first, for example `3306`; where it is taken, a free one is used.
   *
   * @default a free port
   */
  readonly port?: number
  /** @default 300 */
  readonly maxConnections?: number
  /**
   * Settings besides those that every server here has, for example `{ 'max-user-connections': 1 }`.
   *
   * @default {}
   */
  readonly settings?: Readonly<Record<string, string | number>>
}

/**
 * Starts MariaDB or MySQL, with its data in the system's temporary folder: a `mariadbd` or `mysqld` that is
 * installed or, on Linux x64, the MySQL 5.6.24 that npm has.
 *
 * @throws {NotInstalled} Where there is none, or no driver; another error, with the server's own log in the
 * message, when it does not start.
 */
export async function startMysql(options: MysqlOptions = {}): Promise<Mysql> {
  const program = options.program ?? findMysqlProgram(options.kind)
  const driver = await loadDriver<typeof mysql>('mysql2/promise')
  const folder = makeServerFolder(program.kind, 'KILL')
  try {
    const data = await makeData(program, folder)
    const start = (candidate: number) => startServer(program, folder, data, candidate, options)
    const server = await startOnFreePort(program.kind, start, options.port)
    const query = (sql: string, database?: string) => queryOnce(driver, server.port, sql, database)
    const stop = async () => {
      await server.stop()
      folder.remove()
    }
    try {
      // MySQL 5.6 starts with users without a name: whoever comes from here would be taken for them.
      const anonymous = await query("SELECT host AS host FROM mysql.user WHERE user = ''")
      for (const { host } of anonymous) await query(`DROP USER ''@'${host}'`)
      const [row] = await query('SELECT VERSION() AS version')
      const version = String(row?.version)
      return {
        name: `${program.kind === 'mysql' ? 'MySQL' : 'MariaDB'} ${version.split('-', 1)[0]}`,
        kind: program.kind,
        version,
        port: server.port,
        pid: server.pid,
        folder: folder.path,
        query,
        stop,
      }
    } catch (error) {
      await stop()
      throw error
    }
  } catch (error) {
    folder.remove()
    throw error
  }
}

/** Makes the data of an empty server. @returns Its folder. */
async function makeData(program: MysqlProgram, { path, user, watcher }: ServerFolder): Promise<string> {
  const data = join(path, 'data')
  if (program.npmFolder !== undefined) {
    cpSync(join(program.npmFolder, 'data', 'mysql'), data, { recursive: true })
    // What the server reads after it has become another user, who may have no way into the checkout.
    for (const part of ['english', 'charsets'])
      cpSync(join(program.npmFolder, 'share', part), join(path, 'share', part), { recursive: true })
    if (user) {
      for (const entry of ['', ...readdirSync(data, { recursive: true, encoding: 'utf8' })])
        chownSync(join(data, entry), user.uid, user.gid)
    }
    return data
  }
  mkdirSync(data)
  if (user) chownSync(data, user.uid, user.gid)
  const mariadb = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve']
  const [command, flags] =
    program.kind === 'mysql'
      ? [program.server, ['--no-defaults', '--initialize-insecure', withoutCertificates]]
      : [program.installer, ['--no-defaults', ...mariadb]]
  if (command === undefined) throw new Error('mariadb-install-db is not installed beside mariadbd')
  // By the user that the server runs as: run by root, mariadb-install-db would give files of the system's to
  // that user. Not in /tmp: several at a time would take each other's temporary tables for what a crash left,
  // and remove them.
  const child = spawn(command, [...flags, `--datadir=${data}`, `--tmpdir=${path}`], {
    cwd: path,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: the script has children.
    detached: true,
    ...user,
  })
  const { log } = keepLog(child)
  if (child.pid !== undefined) watcher.watch(child.pid)
  const forget = onExit(() => killGroup(child))
  const [code] = await once(child, 'close')
  forget()
  if (code !== 0) throw new Error(`${command} failed with ${code}:\n${log()}`)
  return data
}

/** @returns The running server, or the log of one that ended before it was ready. */
async function startServer(
  { server, kind, npmFolder }: MysqlProgram,
  { path, user, watcher }: ServerFolder,
  data: string,
  port: number,
  { maxConnections = 300, settings: given = {} }: MysqlOptions,
): Promise<{ readonly pid: number; stop(): Promise<void> } | { readonly log: string }> {
  const settings = {
    'bind-address': '127.0.0.1',
    port,
    datadir: data,
    tmpdir: path,
    socket: join(path, 'socket'),
    'pid-file': join(path, 'pid'),
    'max-connections': maxConnections,
    'max-allowed-packet': '256M',
    'character-set-server': 'utf8mb4',
    'default-time-zone': '+00:00',
    'local-infile': 'ON',
    'performance-schema': 'OFF',
    'innodb-buffer-pool-size': '32M',
    // The data does not outlive the server: nothing has to survive a power failure.
    'innodb-flush-log-at-trx-commit': 0,
    // `loose`: not every version has it.
    ...(kind === 'mysql' && { 'loose-mysqlx': 'OFF' }),
    ...(npmFolder !== undefined && { basedir: path, 'lc-messages-dir': join(path, 'share') }),
    // It is started as root, to be read wherever it lies, and becomes the other user by itself.
    ...(user && { user: 'nobody' }),
  }
  const write = (values: object) => Object.entries(values).map(([name, value]) => `--${name}=${value}`)
  const withoutTls = ['--loose-skip-ssl', withoutCertificates]
  const flags = [...write(settings), ...withoutTls, '--skip-log-bin', ...write(given)]
  const child = spawn(server, ['--no-defaults', ...flags], {
    cwd: path,
    // npm's MySQL brings a library along.
    env: { ...process.env, ...(npmFolder !== undefined && { LD_LIBRARY_PATH: npmFolder }) },
    stdio: ['ignore', 'ignore', 'pipe'],
    // Out of the terminal's process group: Ctrl-C is for the parent, which ends the server when it is done.
    detached: true,
  })
  if (child.pid !== undefined) watcher.watch(child.pid)
  // One process, whose data nobody needs any more: there is nothing to be shut down in order.
  const kill = () => void child.kill('SIGKILL')
  const forget = onExit(kill)
  const closed = once(child, 'close')
  const { log, contains } = keepLog(child)
  const started = await Promise.race([contains(': ready for connections'), closed.then(() => false)])
  if (!started || child.pid === undefined) {
    forget()
    return { log: log() }
  }
  // The server does not keep the parent from ending by itself, a test that failed before its end for example.
  const held = [child, child.stderr as Socket]
  for (const handle of held) handle.unref()
  return {
    pid: child.pid,
    stop: async () => {
      for (const handle of held) handle.ref()
      kill()
      await closed
      forget()
    },
  }
}

/** Keeps the end of what a process says. */
function keepLog({ stdout, stderr }: ChildProcess): {
  log(): string
  contains(text: string): Promise<true>
} {
  let log = ''
  let notice = (): void => {}
  for (const stream of [stdout, stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-100_000)
      notice()
    })
  }
  return {
    log: () => log,
    contains: text =>
      new Promise(resolve => {
        notice = () => log.includes(text) && resolve(true)
        notice()
      }),
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}

async function queryOnce(
  driver: typeof mysql,
  port: number,
  sql: string,
  database?: string,
): Promise<Record<string, unknown>[]> {
  const connection = await driver.createConnection({
    host: '127.0.0.1',
    port,
    user: 'root',
    multipleStatements: true,
    ...(database !== undefined && { database }),
  })
  try {
    const [results, fields] = await connection.query(sql)
    // mysql2 gives a list of results when the text holds several statements.
    const isList = Array.isArray(fields) && fields.some(field => !field || Array.isArray(field))
    const last = isList && Array.isArray(results) ? results.at(-1) : results
    return Array.isArray(last) ? (last as Record<string, unknown>[]) : []
  } finally {
    await connection.end()
  }
}
