import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Endpoint } from 'middy-rds-iam/identifiers'
import { parseAmzDate, parseToken, partOf, quote, type Token } from './token-text.ts'

/**
 * A key pair that the gateway knows the secret of, so that it can verify what the pair has signed.
 *
 * @example { accessKeyId: 'defaultkey', secretAccessKey: 'defaultsecret' }
 */
export interface GatewayCredentials {
  /** For example `AKIAIOSFODNN7EXAMPLE`. */
  readonly accessKeyId: string
  /** Never logged, never part of an error. */
  readonly secretAccessKey: string
  /** Where set, tokens must carry exactly this one; where not, tokens must carry none. @default none */
  readonly sessionToken?: string | undefined
  /**
   * When the pair stops being valid; tokens that it signed stop with it, however young they are.
   *
   * @default never
   */
  readonly expiration?: Date | undefined
}

/** What a token is held against. */
export interface TokenExpectation {
  /** The database user of the session, case-sensitive. */
  readonly user: string
  readonly region: string
  /** The endpoints that a token may be signed for, hosts in lower case. */
  readonly endpoints: readonly Endpoint[]
  readonly credentials: ReadonlyMap<string, GatewayCredentials>
  readonly nowMs: number
}

/** What came of verifying a token: `reason` is set where it is refused. */
export interface TokenVerification {
  readonly reason?: 'InvalidToken' | 'ExpiredToken'
  /** A sentence with the true reason, without any secret in it. */
  readonly detail: string
  /** Tells tokens apart without showing them; absent for what is no token at all, a password for example. */
  readonly tokenId?: string
  readonly tokenSignedAt?: Date
}

// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html: a token lives for 15 minutes.
// The SDKs for Rust and PHP make it for less on demand: https://docs.rs/aws-sdk-rds/latest/src/aws_sdk_rds/auth_token.rs.html
const maxLifetimeSeconds = 900
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html: five minutes of clock skew.
const maxClockSkewMs = 5 * 60_000
const algorithm = 'AWS4-HMAC-SHA256'
const service = 'rds-db'

/**
 * Verifies an RDS authentication token, the presigned
 * `GET host:port/?Action=connect&DBUser=…` without its scheme.
 *
 * Its meaning is looked at before its signature, so that a token signed for another user says so.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function verifyToken(text: string, expected: TokenExpectation): TokenVerification {
  const token = parseToken(text)
  if (typeof token === 'string') return { reason: 'InvalidToken', detail: token }

  const { host, parameters } = token
  const signedAtMs = parseAmzDate(partOf(parameters, 'X-Amz-Date'))
  const seen = {
    tokenId: sha256(text).slice(0, 12),
    ...(signedAtMs === undefined ? {} : { tokenSignedAt: new Date(signedAtMs) }),
  }
  const invalid = (detail: string): TokenVerification => ({ ...seen, reason: 'InvalidToken', detail })
  const expired = (detail: string): TokenVerification => ({ ...seen, reason: 'ExpiredToken', detail })

  if (parameters.get('Action') !== 'connect') return invalid('the Action of the token is not "connect"')
  if (parameters.get('X-Amz-Algorithm') !== algorithm) return invalid(`the algorithm is not ${algorithm}`)
  if (parameters.get('X-Amz-SignedHeaders') !== 'host')
    return invalid('the signed headers are not "host" alone')
  const user = partOf(parameters, 'DBUser')
  if (user !== expected.user) {
    return invalid(
      `the token is signed for the database user ${quote(user)}, the session is for ${quote(expected.user)}`,
    )
  }
  const wrongHost = hostDefect(host, expected.endpoints)
  if (wrongHost !== undefined) return invalid(wrongHost)

  const scope = partOf(parameters, 'X-Amz-Credential').split('/')
  const [accessKeyId = '', date = '', region = '', scopeService = '', terminator = ''] = scope
  if (scope.length !== 5 || terminator !== 'aws4_request') {
    return invalid('the credential scope is not KEY/DATE/REGION/rds-db/aws4_request')
  }
  if (scopeService !== service)
    return invalid(`the token is signed for the service ${quote(scopeService)}, not "${service}"`)
  if (region !== expected.region) {
    return invalid(
      `the token is signed for the Region ${quote(region)}, the database is in "${expected.region}"`,
    )
  }

  if (signedAtMs === undefined) return invalid('X-Amz-Date is not a date like 20261122T081500Z')
  if (date !== partOf(parameters, 'X-Amz-Date').slice(0, 8)) {
    return invalid('the date of the credential scope is not the date of X-Amz-Date')
  }
  const lifetime = partOf(parameters, 'X-Amz-Expires')
  if (!/^[1-9]\d{0,3}$/.test(lifetime) || Number(lifetime) > maxLifetimeSeconds) {
    return invalid(`X-Amz-Expires is not between 1 and ${maxLifetimeSeconds} seconds`)
  }

  const credentials = expected.credentials.get(accessKeyId)
  if (credentials === undefined)
    return invalid(`the access key ${quote(accessKeyId)} is not known to this gateway`)
  const wrongSession = sessionTokenDefect(parameters.get('X-Amz-Security-Token'), credentials)
  if (wrongSession !== undefined) return invalid(wrongSession)
  if (!isSignedBy(credentials, token, date, region)) {
    return invalid('the signature does not match: the token was changed, or signed with another secret key')
  }

  if (signedAtMs > expected.nowMs + maxClockSkewMs) {
    return invalid(`the token is dated ${seconds(signedAtMs - expected.nowMs)} in the future`)
  }
  const expiresAtMs = signedAtMs + Number(lifetime) * 1000
  if (expected.nowMs > expiresAtMs)
    return expired(`the token expired ${seconds(expected.nowMs - expiresAtMs)} ago`)
  const credentialsEndMs = credentials.expiration?.getTime()
  if (credentialsEndMs !== undefined && expected.nowMs > credentialsEndMs) {
    return expired(
      `the credentials that signed the token expired ${seconds(expected.nowMs - credentialsEndMs)} ago`,
    )
  }
  return { ...seen, detail: `the token of ${quote(accessKeyId)} is valid` }
}

function hostDefect(host: string, endpoints: readonly Endpoint[]): string | undefined {
  const accepted = endpoints.map(endpoint => `${endpoint.host}:${endpoint.port}`)
  if (accepted.includes(host)) return undefined
  const hint = accepted.includes(host.toLowerCase()) ? ' (the host name must be in lower case)' : ''
  return `the token is signed for ${quote(host)}${hint}; accepted here: ${accepted.join(', ')}`
}

function sessionTokenDefect(given: string | undefined, credentials: GatewayCredentials): string | undefined {
  const wanted = credentials.sessionToken
  if (wanted === given) return undefined
  if (given === undefined) return 'the token lacks the session token that its access key belongs to'
  if (wanted === undefined) return 'the token carries a session token, its access key has none'
  return 'the token carries another session token than its access key has'
}

function isSignedBy(credentials: GatewayCredentials, token: Token, date: string, region: string): boolean {
  const query = [...token.parameters]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&')
  const request = `GET\n/\n${query}\nhost:${token.host}\n\nhost\n${sha256('')}`
  const scope = `${date}/${region}/${service}/aws4_request`
  const toSign = `${algorithm}\n${token.parameters.get('X-Amz-Date')}\n${scope}\n${sha256(request)}`
  const key = [date, region, service, 'aws4_request'].reduce<Buffer>(
    hmac,
    Buffer.from(`AWS4${credentials.secretAccessKey}`),
  )
  const expected = Buffer.from(hmac(key, toSign).toString('hex'))
  const given = Buffer.from(partOf(token.parameters, 'X-Amz-Signature'))
  return given.length === expected.length && timingSafeEqual(given, expected)
}

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`
