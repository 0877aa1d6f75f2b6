// What clients and pools of pg do, with the driver alone and with this package.
import middy from '@middy/core'
import pg from 'pg'
import { createPgPool, iamPg, iamPgPool, pgOptions } from '../../../src/pg.ts'
import { usePostgres } from '../../support/database.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { compareSides, type Side, signerFor } from '../../support/side-by-side.ts'
import { pgEvents } from './side-by-side/pg-events.ts'
import { pgPools } from './side-by-side/pg-pool.ts'
import { pgQueries } from './side-by-side/pg-queries.ts'
import { pgStreams } from './side-by-side/pg-streams.ts'

const { gate } = await usePostgres()
const { options } = await gate()

/** As AWS's documentation has it, verified. */
const byHand = {
  host: options.host,
  port: options.port,
  user: options.user,
  database: options.database,
  ssl: { ca: options.tls.ca },
  password: signerFor(options),
  max: 2,
}

const ended = (db: { end(): Promise<void> }) => db.end().catch(() => {})

const clients: readonly Side<pg.Client>[] = [
  {
    name: 'pg.Client',
    async use(client, run) {
      const db = new pg.Client({ ...byHand, ...client })
      await db.connect()
      return run(db).finally(() => ended(db))
    },
  },
  {
    name: 'iamPg',
    async use(client, run) {
      const middleware = iamPg({ ...options, client })
      const handler = middy()
        .use(middleware)
        .handler((_event, { db }) => run(db))
      return handler({}, lambdaContext() as never).finally(() => middleware.close())
    },
  },
  {
    name: 'a class of pg.Client with pgOptions',
    async use(client, run) {
      class Mine extends pg.Client {}
      const db = new Mine({ ...(await pgOptions(options)), ...client })
      await db.connect()
      return run(db).finally(() => ended(db))
    },
  },
]

const pools: readonly Side<pg.Pool>[] = [
  {
    name: 'pg.Pool',
    async use(client, run) {
      const db = new pg.Pool({ ...byHand, ...client })
      return run(db).finally(() => ended(db))
    },
  },
  {
    name: 'iamPgPool',
    async use(client, run) {
      const middleware = iamPgPool({ ...options, client, max: 2 })
      const handler = middy()
        .use(middleware)
        .handler((_event, { db }) => run(db))
      return handler({}, lambdaContext() as never).finally(() => middleware.close())
    },
  },
  {
    name: 'createPgPool',
    async use(client, run) {
      const db = createPgPool({ ...options, client, max: 2 })
      return run(db).finally(() => db.close())
    },
  },
  {
    name: 'a class of pg.Pool with pgOptions',
    async use(client, run) {
      class Mine extends pg.Pool {}
      const db = new Mine({ ...(await pgOptions(options)), ...client, max: 2 })
      return run(db).finally(() => ended(db))
    },
  },
]

/** The first client of each pool. */
const pooled = pools.map(
  (side): Side<pg.Client> => ({
    name: `a client of ${side.name}`,
    use: (client, run) =>
      side.use(client, async pool => {
        const db = await pool.connect()
        // What it does at its end is its own affair here.
        return run(db as unknown as pg.Client).finally(() => db.release(true))
      }),
  }),
)

const apart = <Db>([stock, ...product]: readonly Side<Db>[]) => [stock as Side<Db>, product] as const

compareSides('a client', [...pgQueries, ...pgEvents, ...pgStreams], ...apart(clients))
compareSides("a pool's client", [...pgQueries, ...pgEvents, ...pgStreams], ...apart(pooled))
compareSides('a pool', pgPools, ...apart(pools))
