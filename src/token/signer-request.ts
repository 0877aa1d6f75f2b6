import type { Endpoint } from '../identifiers/endpoint.ts'

/** What an authentication token is to be signed for. */
export interface SignerRequest extends Endpoint {
  /** The database's Region, for example `eu-west-1`. */
  readonly region: string
  /** The database user, case-sensitive. */
  readonly user: string
}

/**
 * Signs an authentication token, `host:port/?Action=connect&DBUser=…&X-Amz-Signature=…`.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
 */
export type TokenSigner = (request: SignerRequest) => Promise<string> | string
