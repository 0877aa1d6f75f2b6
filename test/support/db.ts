import type pg from 'pg'

export type Row = Readonly<Record<string, unknown>>

/** What a handler can do with any driver. */
export interface Db {
  /** The client, connection or pool itself. */
  readonly raw: object
  query(sql: string): Promise<readonly Row[]>
  /** One connection: the client itself, or one of the pool's. */
  take(): Promise<Taken>
  end(): Promise<unknown>
}

/** One connection, for as long as the handler has it. */
export interface Taken {
  /** The driver's own. */
  readonly raw: object
  query(sql: string): Promise<readonly Row[]>
  release(): void
}

export const pgDb = (raw: pg.Client | pg.Pool): Db => {
  const query = async (sql: string) => (await raw.query(sql)).rows
  return {
    raw,
    query,
    end: () => raw.end(),
    async take() {
      if (!('totalCount' in raw)) return { raw, query, release() {} }
      const client = await raw.connect()
      return {
        raw: client,
        query: async sql => (await client.query(sql)).rows,
        release: () => client.release(),
      }
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
      if (raw.getConnection === undefined) return { raw, query, release() {} }
      const connection = await raw.getConnection()
      return {
        raw: connection,
        query: async sql => (await connection.query(sql))[0] as readonly Row[],
        release: () => connection.release(),
      }
    },
  }
}
