import { RdsIamError } from '../errors/rds-iam-error.ts'
import { formatTarget } from '../errors/target.ts'
import type { AwsCredentials, AwsCredentialsProvider } from './credentials.ts'
import { readEnvironmentCredentials } from './credentials.ts'
import { signWithEnvironment } from './environment-signer.ts'
import { readExpirationMs, requireLive } from './expiration.ts'
import type { SignerRequest, TokenSigner } from './signer-request.ts'
import { readToken, type Token } from './token.ts'

/** Where tokens come from: the database they are for, and the user's choice of credentials or signer. */
export interface SignerSettings {
  readonly request: SignerRequest
  readonly credentials: AwsCredentials | AwsCredentialsProvider | undefined
  readonly signer: TokenSigner | undefined
}

/** What to check where there are no credentials. */
export const checkCredentials =
  'Check that the process has AWS credentials: in Lambda the role of the function, elsewhere AWS_PROFILE or AWS_ACCESS_KEY_ID and ' +
  'AWS_SECRET_ACCESS_KEY.'

interface Signed {
  readonly value: string
  /** The credentials that signed it, where they are known. */
  readonly credentials?: AwsCredentials | undefined
}

/**
 * Makes a function that signs authentication tokens for one database user.
 *
 * Where the credentials stand in the environment, as in Lambda, it signs by itself. For every other kind of
 * credentials, `@aws-sdk/rds-signer` does, which takes tens of milliseconds to load and is not loaded before
 * the first token.
 *
 * @returns It is told whether the token before was refused.
 */
export function createSigner({
  request,
  credentials,
  signer,
}: SignerSettings): (isRefused?: boolean) => Promise<Token> {
  let signWithSdk: ((isRefused: boolean) => Promise<Signed>) | undefined

  const sign = async (isRefused: boolean): Promise<Signed> => {
    if (signer !== undefined) return { value: await signer(request) }
    const environment = credentials === undefined ? readEnvironmentCredentials() : undefined
    if (environment !== undefined) {
      requireLive(environment)
      return { value: signWithEnvironment(request, environment), credentials: environment }
    }
    if (signWithSdk === undefined) {
      const { createSdkSigner } = await import('./sdk-signer.ts')
      signWithSdk = await createSdkSigner(request, credentials)
    }
    return signWithSdk(isRefused)
  }

  return async (isRefused = false) => {
    const { value, credentials } = await sign(isRefused).catch(error => {
      throw error instanceof RdsIamError ? error : signingFailed(request, error)
    })
    const token = readToken(request, value, credentials && readExpirationMs(credentials))
    if (token !== undefined) return token
    throw new RdsIamError(
      'RDS_IAM_CREDENTIALS',
      `The signer did not return an authentication token for ${describe(request)}.`,
      {
        remedy:
          'Check that it signs for exactly these, and returns what `Signer.getAuthToken()` of @aws-sdk/rds-signer does; nothing else ' +
          'is sent to a server.',
      },
    )
  }
}

function describe(request: SignerRequest): string {
  const { host, port } = request
  return formatTarget({ ...request, database: '', endpoint: { host, port } })
}

function signingFailed(request: SignerRequest, cause: unknown): RdsIamError {
  const observed = cause instanceof Error ? cause.message : String(cause)
  return new RdsIamError(
    'RDS_IAM_CREDENTIALS',
    `Could not sign an authentication token for ${describe(request)}: ${observed}.`,
    { cause, remedy: checkCredentials },
  )
}
