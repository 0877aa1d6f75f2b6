import type { Endpoint } from '../identifiers/endpoint.ts'

/**
 * What an authentication token is to be signed for.
 *
 * @example
 * ```ts
 * { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, region: 'eu-west-1', user: 'orders_app' }
 * ```
 */
export interface SignerRequest extends Endpoint {
  /** The database's Region, for example `eu-west-1`. */
  readonly region: string
  /** The database user, case-sensitive. */
  readonly user: string
}

/**
 * Signs an authentication token, `host:port/?Action=connect&DBUser=…&X-Amz-Signature=…`.
 *
 * @example
 * ```ts
 * import { Signer } from '@aws-sdk/rds-signer'
 *
 * const signer: TokenSigner = ({ host, port, region, user }) =>
 *   new Signer({ hostname: host, port, region, username: user }).getAuthToken()
 * ```
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
 */
export type TokenSigner = (request: SignerRequest) => Promise<string> | string
