import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { AwsCredentials } from './credentials.ts'

/** What to do where credentials have ended. */
export const renewCredentials = 'Renew them, or pass `credentials` as a provider that does.'

/**
 * When credentials end, in milliseconds since the epoch, or nothing where they do not.
 *
 * @throws {RdsIamError} `RDS_IAM_CREDENTIALS` where what should be a date is none.
 */
export function readExpirationMs({ expiration }: AwsCredentials): number | undefined {
  if (expiration === undefined) return undefined
  const endMs = expiration instanceof Date ? expiration.getTime() : Number.NaN
  if (!Number.isNaN(endMs)) return endMs
  throw new RdsIamError(
    'RDS_IAM_CREDENTIALS',
    `The expiration of the AWS credentials is not a date; got ${expiration}.`,
    { remedy: 'Check AWS_CREDENTIAL_EXPIRATION, or the `expiration` that `credentials` gives: a Date.' },
  )
}

/**
 * Expired credentials sign without complaint, and the server then refuses the token without saying why.
 *
 * @throws {RdsIamError} `RDS_IAM_CREDENTIALS` where the credentials have ended.
 */
export function requireLive(credentials: AwsCredentials): void {
  const endMs = readExpirationMs(credentials)
  if (endMs === undefined || endMs > Date.now()) return
  throw new RdsIamError(
    'RDS_IAM_CREDENTIALS',
    `The AWS credentials expired at ${new Date(endMs).toISOString()}.`,
    { remedy: renewCredentials },
  )
}
