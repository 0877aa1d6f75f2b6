import { createMysqlDatabase } from '../../kit/src/database/mysql-database.ts'
import type { MysqlKind } from '../../kit/src/database/mysql-program.ts'
import { createPostgresDatabase } from '../../kit/src/database/postgres-database.ts'
import type { Server } from '../../kit/src/database/server.ts'
import { makeGate } from '../../kit/src/gateway/gate.ts'
import { readOptions } from '../../kit/src/gateway/settings.ts'
import type { Gateway, GatewayOptions } from '../../kit/src/index.ts'
import { createUserSql } from '../../src/index.ts'
import { startOwnMysql, startOwnPostgres } from './own-login.ts'
import { openRelay } from './relay.ts'
import type { Judge } from './verifier.ts'

/** A database, and what opens ways to it on which tokens are asked for. */
export interface OpenDatabase {
  /** For example `'MariaDB 10.11.19'`. */
  readonly name: string
  readonly port: number
  /** Runs SQL as the superuser in the database. */
  query(sql: string): Promise<Record<string, unknown>[]>
  startGate(options: GatewayOptions): Promise<Gateway>
}

interface Content {
  readonly users: readonly string[]
  readonly database: string
  readonly setup: string
}

/** Starts a PostgreSQL that asks for tokens by itself, with one database in it. */
export async function startOwnPostgresDatabase({ users, database, setup }: Content): Promise<OpenDatabase> {
  const { judge, open } = makeWays()
  const { server, ca } = await startOwnPostgres(judge)
  await createPostgresDatabase(server, database, users, setup)
  return openDatabase(server, database, options => open(options, ca))
}

/**
 * Starts a MySQL or MariaDB that asks for tokens by itself, with one database in it. Its users are made by the SQL
 * for RDS as it is.
 */
export async function startOwnMysqlDatabase(
  kind: MysqlKind,
  { users, database, setup }: Content,
): Promise<OpenDatabase> {
  const { judge, open } = makeWays()
  const { server, ca } = await startOwnMysql(kind, judge)
  await createMysqlDatabase(server, database, [], setup)
  for (const user of users) {
    await server.query(createUserSql({ engine: 'mysql', user }).join('\n'))
    await server.query(`GRANT ALL PRIVILEGES ON ${database}.* TO '${user}'@'%'`)
  }
  return openDatabase(server, database, options => open(options, ca))
}

function openDatabase(
  { name, port, query }: Server,
  database: string,
  startGate: OpenDatabase['startGate'],
): OpenDatabase {
  return { name, port, query: sql => query(sql, database), startGate }
}

/**
 * Makes what the server asks, and what opens a way to the server. A way has what a gateway has: a port, a verdict
 * and counts of its own. Yet it passes bytes on as they are: TLS, and the login, are between the client and the
 * server. A token is signed for the port of its way, and so tells the ways apart.
 */
function makeWays() {
  const ways: { readonly port: number; readonly judge: Judge }[] = []
  const judge: Judge = (user, token) => {
    // Of a token that is for none of them, any of them says so.
    const way = ways.find(({ port }) => token.startsWith(`localhost:${port}/`)) ?? ways.at(-1)
    return way?.judge(user, token) ?? false
  }
  const open = async (options: GatewayOptions, ca: string): Promise<Gateway> => {
    const settings = readOptions(options)
    const relay = await openRelay(settings.upstream.port)
    const { port } = relay
    const gate = makeGate(settings, [{ host: 'localhost', port }])
    ways.push({
      port,
      judge(user, token) {
        const attempt = { client: '', user, database: '' }
        const judgement = gate.judge(attempt, token)
        gate.record(attempt, judgement)
        return judgement.reason === undefined
      },
    })
    return {
      host: '127.0.0.1',
      port,
      ca,
      stats: () => ({ ...gate.counts(), open: relay.clients() }),
      close: async () => relay.close(),
    }
  }
  return { judge, open }
}
