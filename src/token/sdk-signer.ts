import type { AwsCredentials, AwsCredentialsProvider } from './credentials.ts'
import { readExpirationMs, requireLive } from './expiration.ts'
import type { SignerRequest } from './signer-request.ts'

/**
 * Signs with `@aws-sdk/rds-signer`, and tells which credentials signed, because a token dies with them.
 *
 * @returns It is told whether the token before was refused. Credentials that tell no end are then asked for
 * anew: the keys of a file may have been renewed. Others are not, which their provider renews in time, and may
 * ask a service for.
 */
export async function createSdkSigner(
  { host, port, region, user }: SignerRequest,
  credentials: AwsCredentials | AwsCredentialsProvider | undefined,
): Promise<(isRefused: boolean) => Promise<{ value: string; credentials: AwsCredentials | undefined }>> {
  // Not imported at the top: a bundler that leaves the SDK out would load it together with the bundle, needed
  // or not.
  const { Signer } = await import('@aws-sdk/rds-signer')
  const provide = await toProvider(credentials)
  let used: AwsCredentials | undefined
  return async isRefused => {
    const isStale = isRefused && used?.expiration === undefined
    // The SDK asks twice where the credentials are about to end, and falls back to the first answer.
    const given: AwsCredentials[] = []
    const signer = new Signer({
      hostname: host,
      port,
      region,
      username: user,
      credentials: async options => {
        const { accessKeyId, secretAccessKey, sessionToken, expiration } = await provide(
          isStale ? { ...options, forceRefresh: true } : options,
        )
        const plain = {
          accessKeyId,
          secretAccessKey,
          ...(sessionToken === undefined ? {} : { sessionToken }),
          ...(expiration === undefined ? {} : { expiration }),
        }
        readExpirationMs(plain)
        given.push(plain)
        return plain
      },
    })
    const value = await signer.getAuthToken()
    const keyInToken = new URLSearchParams(value).get('X-Amz-Credential')?.split('/')[0]
    used = given.findLast(({ accessKeyId }) => accessKeyId === keyInToken)
    if (used !== undefined) requireLive(used)
    return { value, credentials: used }
  }
}

/** The credentials of the options as a provider; without any, the SDK's default chain. */
export async function toProvider(
  credentials: AwsCredentials | AwsCredentialsProvider | undefined,
): Promise<AwsCredentialsProvider> {
  if (typeof credentials === 'function') return credentials
  if (credentials !== undefined) return async () => credentials
  const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers')
  // The chain keeps what it found until it is to find it anew, and then reads the files again.
  return fromNodeProviderChain({ ignoreCache: true }) as AwsCredentialsProvider
}
