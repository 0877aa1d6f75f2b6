import type { Settings } from '../options/settings.ts'
import { createTokenCache } from '../token/cache.ts'
import { createSigner } from '../token/signer.ts'
import type { Token } from '../token/token.ts'
import type { FoundCredentials } from './credentials-step.ts'
import type { Secrets } from './secrets.ts'
import type { Outcome } from './steps.ts'
import { type TimeLimit, withinLimit } from './time-limit.ts'

/** Signs a token as the middleware does, and reads from the token what it was signed for. */
export async function signToken(
  settings: Settings,
  { credentials }: FoundCredentials,
  secrets: Secrets,
  limit: TimeLimit,
): Promise<Outcome<Token>> {
  const { endpoint, region, user, signer, tokenMarginMs } = settings
  const sign = createSigner({ request: { ...endpoint, region, user }, credentials, signer })
  const tokens = createTokenCache(sign, tokenMarginMs)
  const { token } = await withinLimit(tokens.get(), limit, 'signing did not finish')
  const details = readDetails(token, secrets)
  const finding =
    `for ${details.user} at ${details.host}:${details.port} in ${details.region}, signed by ${details.accessKeyId} ` +
    `${Math.round(details.ageMs / 1_000)} s ago, valid until ${details.expiresAt}`
  if (details.remainingMs >= tokenMarginMs && details.ageMs >= -1_000)
    return { finding, details, value: token }
  const remedy =
    details.ageMs < -1_000
      ? 'The token was signed in the future: check the clock of this machine.'
      : 'The token is near its end, because the credentials are: renew them.'
  return { status: 'warning', finding, remedy, details, value: token }
}

/** Reads everything from a token but the parts that make it valid. */
function readDetails({ value, signedAtMs, expiresAtMs }: Token, secrets: Secrets) {
  const [address = '', query = ''] = value.split('/?')
  const parameters = new URLSearchParams(query)
  secrets.add(value)
  secrets.add(parameters.get('X-Amz-Signature'))
  secrets.add(parameters.get('X-Amz-Security-Token'))
  const [accessKeyId = '', , region = ''] = (parameters.get('X-Amz-Credential') ?? '').split('/')
  const port = address.lastIndexOf(':')
  return {
    host: address.slice(0, port),
    port: Number(address.slice(port + 1)),
    user: parameters.get('DBUser') ?? '',
    region,
    accessKeyId,
    hasSessionToken: parameters.has('X-Amz-Security-Token'),
    signedAt: new Date(signedAtMs).toISOString(),
    ageMs: Date.now() - signedAtMs,
    expiresAt: new Date(expiresAtMs).toISOString(),
    remainingMs: expiresAtMs - Date.now(),
    characters: value.length,
  }
}
