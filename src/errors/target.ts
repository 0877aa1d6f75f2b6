import type { Endpoint } from '../identifiers/endpoint.ts'

/**
 * Who connects where: one database user of one database.
 *
 * @example
 * ```ts
 * {
 *   host: 'localhost', port: 15432, user: 'orders_app', database: 'orders', region: 'eu-west-1',
 *   endpoint: { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 },
 * }
 * ```
 */
export interface Target extends Endpoint {
  /** The database user, case-sensitive. */
  readonly user: string
  /** Empty for none. */
  readonly database: string
  /** The database's Region, for example `eu-west-1`; empty where only DNS tells it. */
  readonly region: string
  /**
   * What tokens are signed for and the certificate is verified against, where `host` is another name for it.
   */
  readonly endpoint: Endpoint
}

/**
 * A target in few words.
 *
 * @example `orders_app@orders.c1x2.eu-west-1.rds.amazonaws.com:5432/orders in eu-west-1`
 */
export function formatTarget({ user, host, port, database, region, endpoint }: Target): string {
  const via = endpoint.host === host ? '' : ` (${endpoint.host})`
  return `${user}@${host}:${port}${database === '' ? '' : `/${database}`}${via}${region === '' ? '' : ` in ${region}`}`
}
