import { fromNodeProviderChain } from '@aws-sdk/credential-providers'
import { Signer } from '@aws-sdk/rds-signer'
import type { AwsCredentials, AwsCredentialsProvider, SignerRequest } from '../options.ts'

/**
 * Signs with `@aws-sdk/rds-signer`, and tells which credentials signed, because a token dies with them.
 *
 * @param check Called with the credentials; throws where they must not be used.
 */
export function createSdkSigner(
  { host, port, region, user }: SignerRequest,
  credentials: AwsCredentials | AwsCredentialsProvider = fromNodeProviderChain(),
  check: (credentials: AwsCredentials) => void,
): () => Promise<{ value: string; credentials: AwsCredentials | undefined }> {
  const provide: AwsCredentialsProvider =
    typeof credentials === 'function' ? credentials : async () => credentials
  return async () => {
    // The SDK asks twice where the credentials are about to end, and falls back to the first answer.
    const given: AwsCredentials[] = []
    const signer = new Signer({
      hostname: host,
      port,
      region,
      username: user,
      credentials: async options => {
        const { accessKeyId, secretAccessKey, sessionToken, expiration } = await provide(options)
        const plain = {
          accessKeyId,
          secretAccessKey,
          ...(sessionToken === undefined ? {} : { sessionToken }),
          ...(expiration === undefined ? {} : { expiration }),
        }
        given.push(plain)
        return plain
      },
    })
    const value = await signer.getAuthToken()
    const keyInToken = new URLSearchParams(value).get('X-Amz-Credential')?.split('/')[0]
    const used = given.findLast(({ accessKeyId }) => accessKeyId === keyInToken)
    if (used !== undefined) check(used)
    return { value, credentials: used }
  }
}
