import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { after } from 'node:test'
import pg from 'pg'
import { startOnFreePort } from '../../kit/src/database/free-port.ts'
import { findOnPath } from '../../kit/src/database/mysql-program.ts'
import { onExit } from '../../kit/src/database/on-exit.ts'
import { makeServerFolder, type ServerFolder } from '../../kit/src/database/server-folder.ts'
import { makeAuthority } from '../../kit/src/index.ts'
import { createTokenSource } from '../../src/index.ts'
import { credentials } from './database.ts'

const program = findOnPath('pgbouncer')

/** Why there is no pooler here, for tests that are skipped then; `false` where there is one. */
export const withoutPooler: string | false =
  program === undefined ? 'PgBouncer is not there; on Debian: apt-get install pgbouncer' : false

/** The name that a pooler here has, by which it is taken for RDS Proxy. */
const proxyName = 'notes.proxy-c1x2y3z4a5b6.eu-west-1.rds.amazonaws.com'

/** Settings of PgBouncer, for example `{ max_client_conn: 2 }`. */
export type PoolerSettings = Readonly<Record<string, string | number>>

/**
 * A PgBouncer that stands for RDS Proxy: it ends TLS, asks for the token in clear text, and lends sessions at a
 * real server to whoever it lets in.
 */
export interface Pooler {
  readonly port: number
  /** What the options of a middleware need to be let in. */
  readonly options: {
    readonly host: string
    readonly port: number
    readonly endpoint: { readonly host: string; readonly port: number }
    readonly user: string
    readonly database: string
    readonly tls: { readonly ca: string }
    readonly signer: () => Promise<string>
  }
  /** Whether it keeps track of named statements where a session at the server is one transaction's. */
  readonly hasNamedStatements: boolean
  /** Runs a command of its console: `PAUSE` for example. */
  command(text: string): Promise<readonly Record<string, unknown>[]>
}

const user = 'notes_app'
const database = 'notes'

// Keys take more time to make than most tests take.
const issuing = makeAuthority().then(async ({ ca, issue }) => ({
  ca,
  ...(await issue({ names: ['localhost', proxyName] })),
}))

/** Whom a pooler logs in as at its server; by default, whoever logs in to the pooler. */
export interface PoolerTarget {
  readonly port: number
  readonly user?: string
  readonly database?: string
}

/**
 * Starts a pooler in front of a server, stopped after the test file's last test.
 *
 * @param mode Whether a client has a session at the server to itself, or shares it after each transaction.
 * @see https://www.pgbouncer.org/config.html
 */
export async function startPooler(
  target: PoolerTarget,
  mode: 'session' | 'transaction',
  settings: PoolerSettings = {},
): Promise<Pooler> {
  const folder = makeServerFolder('pgbouncer', 'KILL')
  const { ca, cert, key } = await issuing
  const endpoint = { host: proxyName, port: 5432 }
  const token = await createTokenSource({ ...endpoint, user, credentials })()
  const write = (name: string, text: string): string => {
    const path = join(folder.path, name)
    writeFileSync(path, text, { mode: 0o600 })
    if (folder.user) chownSync(path, folder.user.uid, folder.user.gid)
    return path
  }
  const own = {
    pool_mode: mode,
    listen_addr: '127.0.0.1',
    unix_socket_dir: '',
    auth_type: 'plain',
    auth_file: write('users.txt', `"${user}" "${token}"\n"console" "console"\n`),
    admin_users: 'console',
    client_tls_sslmode: 'require',
    client_tls_cert_file: write('server.crt', cert),
    client_tls_key_file: write('server.key', key),
    ...settings,
  }
  const start = (port: number) => {
    const lines = Object.entries({ ...own, listen_port: port }).map(([name, value]) => `${name} = ${value}`)
    const server = { host: '127.0.0.1', port: target.port, user: target.user ?? user }
    const words = Object.entries({ ...server, dbname: target.database ?? database })
    const line = `${database} = ${words.map(word => word.join('=')).join(' ')}`
    const text = ['[databases]', line, '[pgbouncer]', ...lines, ''].join('\n')
    return startProgram(write('pgbouncer.ini', text), folder)
  }
  const { port, stop } = await startOnFreePort('PgBouncer', start)
  const command = async (text: string) => {
    const client = new pg.Client({
      ...{ host: 'localhost', port, user: 'console', password: 'console', database: 'pgbouncer' },
      ssl: { ca },
    })
    await client.connect()
    try {
      return (await client.query(text)).rows
    } finally {
      await client.end()
    }
  }
  after(() => stop().then(folder.remove))
  const known = await command('SHOW CONFIG')
  const hasNamedStatements = known.some(({ key }) => key === 'max_prepared_statements')
  // Some versions have it turned off.
  if (hasNamedStatements) await command('SET max_prepared_statements = 100')
  return {
    port,
    options: {
      host: 'localhost',
      port,
      endpoint,
      user,
      database,
      tls: { ca },
      signer: async () => token,
    },
    hasNamedStatements,
    command,
  }
}

/** @returns What ends it, or the log of one that ended before it was ready. */
async function startProgram(
  file: string,
  { path, user, watcher }: ServerFolder,
): Promise<{ stop(): Promise<void> } | { readonly log: string }> {
  const child = spawn(program ?? 'pgbouncer', [file], {
    cwd: path,
    ...user,
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  if (child.pid !== undefined) watcher.watch(child.pid)
  const closed = once(child, 'close')
  const forget = onExit(() => child.kill('SIGKILL'))
  let log = ''
  const ready = new Promise<true>(resolve => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-100_000)
      if (log.includes('process up')) resolve(true)
    })
  })
  if (!(await Promise.race([ready, closed.then(() => false)]))) {
    forget()
    return { log }
  }
  const held = [child, child.stderr as Socket]
  for (const handle of held) handle.unref()
  return {
    async stop() {
      for (const handle of held) handle.ref()
      // At once: clients are not waited for.
      child.kill('SIGKILL')
      await closed
      forget()
    },
  }
}
