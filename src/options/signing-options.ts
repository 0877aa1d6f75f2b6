import type { AwsCredentials, AwsCredentialsProvider } from '../token/credentials.ts'
import { type Checks, show } from './checks.ts'

/** Reads credentials, or a provider of them, and shows nothing of what they hold. */
export function readCredentials(
  checks: Checks,
  value: unknown,
): AwsCredentials | AwsCredentialsProvider | undefined {
  if (value === undefined || typeof value === 'function') return value as AwsCredentialsProvider | undefined
  const form = '{ accessKeyId, secretAccessKey, sessionToken? } or a function that gives it'
  const keys = checks.object('credentials', value, form)
  if (keys === undefined) return undefined
  for (const name of ['accessKeyId', 'secretAccessKey']) {
    const isFilled = typeof keys[name] === 'string' && keys[name] !== ''
    if (!isFilled) checks.complain(`credentials.${name}`, 'is missing')
  }
  // The answer of STS spells its names with capitals, and its date is a text.
  if ('SessionToken' in keys) checks.complain('credentials.SessionToken', 'is called `sessionToken`')
  if (keys.sessionToken !== undefined && typeof keys.sessionToken !== 'string')
    checks.complain('credentials.sessionToken', `is not a text; got a ${typeof keys.sessionToken}`)
  const { expiration } = keys
  if (expiration !== undefined && !(expiration instanceof Date && !Number.isNaN(expiration.getTime())))
    checks.complain('credentials.expiration', `is not a valid Date; got ${show(expiration)}`)
  return keys as unknown as AwsCredentials
}

/** Reads how long before its end a token is no longer used, in milliseconds. A token lives for 900 000. */
export function readTokenMargin(checks: Checks, value: unknown): number {
  return checks.integer('tokenMarginMs', value, { fallback: 60_000, min: 0, max: 840_000 })
}
