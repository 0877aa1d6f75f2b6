import type { SignerRequest } from './signer-request.ts'

/** An authentication token, with what is needed to know when it dies. */
export interface Token {
  /** The secret itself: `host:port/?Action=connect&…`. */
  readonly value: string
  /**
   * When it was signed, by its own `X-Amz-Date`, in milliseconds since the epoch; the date has a resolution
   * of a second.
   */
  readonly signedAtMs: number
  /**
   * When it dies: with its own lifetime, or with the credentials that signed it, in milliseconds since the
   * epoch.
   */
  readonly expiresAtMs: number
}

const amzDate = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/

/**
 * `20260101T120000Z` in milliseconds since the epoch; nothing for another text, and for a day that there is
 * not.
 */
function parseDate(text: string): number | undefined {
  if (!amzDate.test(text)) return undefined
  const iso = text.replace(amzDate, '$1-$2-$3T$4:$5:$6.000Z')
  const ms = Date.parse(iso)
  return !Number.isNaN(ms) && new Date(ms).toISOString() === iso ? ms : undefined
}

/**
 * Reads a signed token.
 *
 * @param request What it was to be signed for.
 * @param value The token, for example `orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&…`.
 * @param credentialsExpireAtMs When the credentials end that signed it, in milliseconds since the epoch, if
 * they do.
 * @returns Nothing where the text is not an authentication token, or one for something else.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
export function readToken(
  { host, port, region, user }: SignerRequest,
  value: unknown,
  credentialsExpireAtMs = Number.POSITIVE_INFINITY,
): Token | undefined {
  const start = `${host}:${port}/?`
  if (typeof value !== 'string' || !value.startsWith(start)) return undefined
  const parameters = new URLSearchParams(value.slice(start.length))
  const [, , scopeRegion] = parameters.get('X-Amz-Credential')?.split('/') ?? []
  if (parameters.get('DBUser') !== user || scopeRegion !== region) return undefined
  const signedAtMs = parseDate(parameters.get('X-Amz-Date') ?? '')
  const lifetime = parameters.get('X-Amz-Expires') ?? ''
  if (signedAtMs === undefined || !/^[1-9]\d{0,5}$/.test(lifetime) || !parameters.has('X-Amz-Signature'))
    return undefined
  return {
    value,
    signedAtMs,
    expiresAtMs: Math.min(signedAtMs + Number(lifetime) * 1_000, credentialsExpireAtMs),
  }
}
