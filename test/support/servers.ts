import { startDatabaseWith } from '../../kit/src/database/database.ts'
import type { Programs } from '../../kit/src/database/engines.ts'
import { type Mysql, type MysqlOptions, startMysql as start } from '../../kit/src/database/mysql.ts'
import { findMysqlProgram, type MysqlKind } from '../../kit/src/database/mysql-program.ts'
import {
  type Postgres,
  type PostgresOptions,
  startPostgres as startAny,
} from '../../kit/src/database/postgres.ts'
import { type Database, type DatabaseOptions, NotInstalled } from '../../kit/src/index.ts'
import { chooseServers, defaultFolder, findServer } from '../../local/servers/catalogue.ts'

/**
 * The servers that this run of the tests is for, one of each engine at most: `TEST_SERVERS=postgresql-14,mysql-8.0`
 * takes those of `npm run servers`. Without it, the tests run on what npm and the PATH have.
 */
const names = process.env.TEST_SERVERS?.split(',')

const chosen =
  names &&
  chooseServers(names).map(server => findServer(server, process.env.TEST_SERVERS_FOLDER ?? defaultFolder))

const programs: Programs = Object.assign({}, ...(chosen ?? []).map(server => server.programs))

/** Whether the servers of this run ask for tokens by themselves, and no gateway is between. */
export const hasOwnLogin = (process.env.TEST_OWN_LOGIN ?? '') !== ''

/** The folder of the PostgreSQL that this run is for, where it is not npm's. */
export const installation = programs.postgres

/** Whether this run has a PostgreSQL: npm's, which is there in any other run, does not ask for tokens by itself. */
export const hasPostgres = !hasOwnLogin || (chosen?.some(({ kind }) => kind === 'postgres') ?? true)

/** As the kit's own `startDatabase`, on a server that this run is for. */
export function startDatabase(options: DatabaseOptions): Promise<Database> {
  return startDatabaseWith(options, { programs })
}

/** Starts the PostgreSQL that this run is for. */
export function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  return startAny({ installation, ...options })
}

/** Starts the MySQL or MariaDB that this run is for. */
export async function startMysql(options: MysqlOptions = {}): Promise<Mysql> {
  return start({ program: programOf(options.kind), ...options })
}

/** The servers of this run that speak MySQL's protocol, or none and why. */
export function findMysqlKinds(): { readonly kinds: readonly MysqlKind[]; readonly missing: string } {
  const kinds: MysqlKind[] = []
  const missing: string[] = []
  for (const kind of ['mysql', 'mariadb'] as const) {
    try {
      programOf(kind)
      kinds.push(kind)
    } catch (error) {
      if (!(error instanceof NotInstalled)) throw error
      missing.push(error.message)
    }
  }
  return { kinds, missing: missing.join('; ') }
}

function programOf(kind?: MysqlKind) {
  if (names === undefined) return findMysqlProgram(kind)
  if (programs.mysql !== undefined && (kind ?? programs.mysql.kind) === programs.mysql.kind)
    return programs.mysql
  throw new NotInstalled(`this run is for ${names.join(' and ')}`)
}
