import { explain, findFailure } from '../errors/explain.ts'
import type { Failure, TokenUse } from '../errors/failure.ts'
import type { RdsIamError } from '../errors/rds-iam-error.ts'
import type { Target } from '../errors/target.ts'
import { type EventDetail, emit } from '../events/emit.ts'
import type { AccessSettings } from '../options/settings.ts'
import { elapsedMs } from '../time/elapsed.ts'
import { createTokenCache, type TokenCache } from '../token/cache.ts'
import { createSigner } from '../token/signer.ts'
import type { Token } from '../token/token.ts'
import { createTrust, type Trust } from '../trust/verified-tls.ts'
import { createRefusals, type Refusals } from './refusals.ts'
import { createWriterTokens } from './writer-tokens.ts'

/** The way to one database as one user: made once, and shared by all connections of a middleware. */
export interface Access {
  readonly target: Target
  readonly tokens: TokenCache
  readonly trust: Trust
  /** Whether the server has kept refusing, for whoever tries next. */
  readonly refusals: Refusals
  /** Tells the observers of what happened. */
  emit(detail: EventDetail): void
  /** The error that says what an attempt to connect failed with, and what to check. */
  explain(cause: unknown, attempt?: AttemptDetail): RdsIamError
  /** The kind of a failure, where it is known; more is, where it is known what became of the token. */
  findFailure(cause: unknown, token?: TokenUse): Failure | undefined
}

/** What an error says of an attempt beside its target. */
export interface AttemptDetail {
  /** The AWS account of the function, where it is known. */
  readonly account?: string | undefined
  /** How often and how long it was tried: `7 attempts in 4.8 s`, `1 attempt and no more, because …`. */
  readonly effort?: string | undefined
  /** What became of the token, where it is known. */
  readonly token?: TokenUse | undefined
}

/** @see https://tc39.es/ecma262/#sec-time-values-and-time-range */
const lastDateMs = 8.64e15

/** Nothing is signed, read or loaded before it is asked for. */
export function createAccess(settings: AccessSettings): Access {
  const { user, host, port, database, endpoint, followsWriter, failures } = settings
  const { credentials, signer, tokenMarginMs } = settings
  let region = settings.region
  const target: Target = {
    user,
    host,
    port,
    database,
    endpoint,
    // The one that was found last, where it moves.
    get region() {
      return region === '' ? '<region>' : region
    },
  }

  const createTokens = (region: string): TokenCache => {
    const sign = createSigner({ request: { ...endpoint, region, user }, credentials, signer })
    const signAndTell = async (isRefused: boolean): Promise<Token> => {
      const startedMs = performance.now()
      const token = await sign(isRefused)
      // A signer of the user's may give its tokens any lifetime, also one that no date can say.
      const expiresAt = new Date(Math.min(token.expiresAtMs, lastDateMs)).toISOString()
      emit(settings, { event: 'token:signed', durationMs: elapsedMs(startedMs), expiresAt })
      return token
    }
    return createTokenCache(signAndTell, tokenMarginMs)
  }
  const followWriter = () =>
    createWriterTokens(
      { host: endpoint.host, fallback: region, tell: detail => emit(settings, detail) },
      found => {
        region = found
        return createTokens(found)
      },
    )

  return {
    target,
    tokens: followsWriter ? followWriter() : createTokens(region),
    trust: createTrust({ ...settings, everyRegion: followsWriter }, remedy =>
      emit(settings, { event: 'trust:incomplete', region: target.region, remedy }),
    ),
    refusals: createRefusals(),
    emit: detail => emit(settings, detail),
    explain: (cause, { account, effort, token } = {}) =>
      explain(cause, { ...target, failures, account, effort, token }),
    findFailure: (cause, token) => findFailure(cause, failures, token),
  }
}
