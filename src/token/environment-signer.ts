import type { AwsCredentials } from './credentials.ts'
import type { SignerRequest } from './signer-request.ts'

/** An ES import of it would load Web Crypto too, a millisecond of a cold start. */
const crypto = () => process.getBuiltinModule('node:crypto')

const algorithm = 'AWS4-HMAC-SHA256'
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html: a token lives 15
// minutes
const lifetimeSeconds = 900

/**
 * Signs a token with credentials at hand: what `@aws-sdk/rds-signer` signs, without the time that it takes to
 * load. Tests hold the two equal.
 *
 * @returns For example
 * `orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=orders_app&…&X-Amz-Signature=…`.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function signWithEnvironment(request: SignerRequest, credentials: AwsCredentials): string {
  const { host, port, region, user } = request
  const { accessKeyId, secretAccessKey, sessionToken } = credentials
  const date = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const day = date.slice(0, 8)
  const scope = [day, region, 'rds-db', 'aws4_request']
  const parameters: readonly (readonly [string, string])[] = [
    // In the order of their names, as a canonical request has them.
    ['Action', 'connect'],
    ['DBUser', user],
    ['X-Amz-Algorithm', algorithm],
    ['X-Amz-Credential', [accessKeyId, ...scope].join('/')],
    ['X-Amz-Date', date],
    ['X-Amz-Expires', String(lifetimeSeconds)],
    ...(sessionToken === undefined ? [] : ([['X-Amz-Security-Token', sessionToken]] as const)),
    ['X-Amz-SignedHeaders', 'host'],
  ]
  const query = parameters.map(([name, value]) => `${name}=${encode(value)}`).join('&')
  const canonicalRequest = ['GET', '/', query, `host:${host}:${port}`, '', 'host', hash('')].join('\n')
  const text = [algorithm, date, scope.join('/'), hash(canonicalRequest)].join('\n')
  const key = scope.reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${secretAccessKey}`)
  return `${host}:${port}/?${query}&X-Amz-Signature=${hmac(key, text).toString('hex')}`
}

/** Percent-encoding as SigV4 has it: everything but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function hash(text: string): string {
  return crypto().createHash('sha256').update(text).digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return crypto().createHmac('sha256', key).update(text).digest()
}
