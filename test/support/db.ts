import type pg from 'pg'

export type Row = Readonly<Record<string, unknown>>

/** What a handler can do with any driver. */
export interface Db {
  /** The client, connection or pool itself. */
  readonly raw: object
  query(sql: string): Promise<readonly Row[]>
  /** One connection: the client itself, or one of the pool's. */
  take(): Promise<{ query(sql: string): Promise<readonly Row[]>; release(): void }>
  end(): Promise<unknown>
}

export const pgDb = (raw: pg.Client | pg.Pool): Db => {
  const query = async (sql: string) => (await raw.query(sql)).rows
  return {
    raw,
    query,
    end: () => raw.end(),
    async take() {
      if (!('totalCount' in raw)) return { query, release() {} }
      const client = await raw.connect()
      return { query: async sql => (await client.query(sql)).rows, release: () => client.release() }
    },
  }
}

interface Queryable {
  query(sql: string): Promise<readonly [unknown, ...unknown[]]>
}

export const mysqlDb = (
  raw: Queryable & { end(): Promise<void>; getConnection?(): Promise<Queryable & { release(): void }> },
): Db => {
  const query = async (sql: string) => (await raw.query(sql))[0] as readonly Row[]
  return {
    raw,
    query,
    end: () => raw.end(),
    async take() {
      if (raw.getConnection === undefined) return { query, release() {} }
      const connection = await raw.getConnection()
      return {
        query: async sql => (await connection.query(sql))[0] as readonly Row[],
        release: () => connection.release(),
      }
    },
  }
}
