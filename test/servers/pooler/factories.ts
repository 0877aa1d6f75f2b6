import { createPgPool, type RdsIamOptions } from '../../../src/pg.ts'
import { type Db, pgDb, type Row } from '../../support/db.ts'
import { type Handler, usePostgresKinds } from '../../support/kinds.ts'
import { lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { withoutPooler } from '../../support/pooler.ts'
import { postgresSql } from '../../support/sql.ts'

/** What connects through a pooler: a middleware, or a pool without one. */
export interface PooledFactory {
  /** `iamPg` for example. */
  readonly name: string
  /** Whether it knows where an invocation ends. */
  readonly isMiddleware: boolean
  /** Something of an environment of its own, which does with its connection what it is told. */
  createHandler(options: RdsIamOptions): Handler
}

/** Every factory of this package that connects to PostgreSQL, and a real one for a pooler to stand before. */
export async function usePooledFactories(): Promise<{
  readonly factories: readonly PooledFactory[]
  readonly server: { readonly port: number }
  /** Runs SQL as the superuser, past the pooler. */
  administer(sql: string): Promise<readonly Row[]>
}> {
  // Nobody is to wait for a server that no pooler stands before.
  if (withoutPooler) return { factories: [], server: { port: 0 }, administer: async () => [] }
  const middlewares = await usePostgresKinds()
  const { administer } = middlewares[0] as (typeof middlewares)[number]
  const [row] = await administer('SHOW port')
  const factories: PooledFactory[] = middlewares.map(({ name, createHandler }) => ({
    name,
    isMiddleware: true,
    createHandler,
  }))
  factories.push({
    name: createPgPool.name,
    isMiddleware: false,
    createHandler(options) {
      const db = pgDb(createPgPool(options))
      return async run => run(db)
    },
  })
  return { factories, server: { port: Number(row?.port) }, administer }
}

/** An execution environment with one connection, and what it tells of it. */
export function openEnvironment({ createHandler }: PooledFactory, options: RdsIamOptions) {
  const logger = recordingLogger()
  const handler = createHandler({ max: 1, prefetch: false, logger, ...options })
  return {
    logger,
    events: (name: string) => logger.lines.filter(({ fields }) => fields.event === name),
    run: (run: (db: Db) => unknown, context = lambdaContext()) => handler(run, context),
  }
}

/** The number of its session at the server. */
export const session = async (db: Db): Promise<number> =>
  Number((await db.query(postgresSql.session))[0]?.value)

/** Runs statements on one connection, and gives it back. */
export const statements =
  (...all: readonly string[]) =>
  async (db: Db): Promise<void> => {
    const connection = await db.take()
    try {
      for (const sql of all) await connection.query(sql)
    } finally {
      connection.release()
    }
  }
