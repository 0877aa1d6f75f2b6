import type { DatabaseError } from 'pg'
import { createMysqlPool } from '../../../src/mysql2.ts'
import { type CreatePgPoolOptions, createPgPool } from '../../../src/pg.ts'
import { findMysqlKinds, type Gate, useMysql, usePostgres } from '../../support/database.ts'
import { type Db, mysqlDb, pgDb } from '../../support/db.ts'
import { askSql } from '../../support/kinds.ts'
import { hasPostgres } from '../../support/servers.ts'
import { mysqlSql, postgresSql, type Sql } from '../../support/sql.ts'

/** Options that both kinds of pools take. */
export type PoolOptions = Omit<CreatePgPoolOptions, 'client'> & { readonly client?: Record<string, unknown> }

/** A pool that needs no middleware, and the one interface of both drivers. */
export interface StandalonePool extends Db {
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A factory of pools, on a server. */
export interface StandaloneKind {
  readonly name: 'createPgPool' | 'createMysqlPool'
  readonly gate: Gate
  readonly sql: Sql
  create(options: PoolOptions): StandalonePool
  /** Ends sessions at the server. */
  end(sessions: readonly number[]): Promise<unknown>
  isMissingTable(error: unknown): boolean
}

async function usePostgresKind(): Promise<StandaloneKind> {
  const { postgres, gate } = await usePostgres()
  return {
    name: 'createPgPool',
    gate,
    sql: postgresSql,
    create: options => {
      const pool = createPgPool(options)
      return {
        ...pgDb(pool),
        close: () => pool.close(),
        [Symbol.asyncDispose]: async () => pool[Symbol.asyncDispose](),
      }
    },
    end: sessions =>
      postgres.query(`SELECT pg_terminate_backend(pid, 5000) FROM unnest(ARRAY[${sessions}]) AS pid`),
    isMissingTable: error => (error as DatabaseError).code === postgresSql.missingTable,
  }
}

/** Both factories, on a server each, where this run has one. */
export async function useStandaloneKinds(): Promise<{
  readonly kinds: readonly StandaloneKind[]
  readonly missing: string
}> {
  const kinds = hasPostgres ? [await usePostgresKind()] : []
  const { kinds: servers, missing } = findMysqlKinds()
  const [server] = servers.slice(-1)
  if (server !== undefined) {
    const { mysql, gate } = await useMysql(server)
    kinds.push({
      name: 'createMysqlPool',
      gate,
      sql: await askSql(mysql),
      create: options => {
        const pool = createMysqlPool(options)
        return {
          ...mysqlDb(pool),
          close: () => pool.close(),
          [Symbol.asyncDispose]: async () => pool[Symbol.asyncDispose](),
        }
      },
      end: async sessions => {
        for (const session of sessions) await mysql.query(`KILL ${session}`)
      },
      isMissingTable: error => (error as { code?: string }).code === mysqlSql.missingTable,
    })
  }
  return { kinds, missing: servers.length > 0 ? '' : missing }
}
