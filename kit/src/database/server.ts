/**
 * A running server on 127.0.0.1 that lets its superuser and every user in without TLS and without a password:
 * it stands behind the gateway, never in front of anybody.
 */
export interface Server {
  /** For example `'PostgreSQL 18.4'` or `'MariaDB 10.11.19'`. */
  readonly name: string
  readonly port: number
  /** Of the server's first process. */
  readonly pid: number
  /** What the server keeps lies in this folder, which ends with it, however the process ends. */
  readonly folder: string
  /** Runs SQL as the superuser on a connection of its own; resolves to the rows of the last statement. */
  query(sql: string, database?: string): Promise<Record<string, unknown>[]>
  /** Ends the server and removes its folder. */
  stop(): Promise<void>
}
