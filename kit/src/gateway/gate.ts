import type { Endpoint } from 'middy-rds-iam/identifiers'
import type { Decision, DecisionTls, GatewayStats, RefusalReason } from './decision.ts'
import { limitConnections } from './limit.ts'
import type { GatewaySettings } from './settings.ts'
import { verifyToken } from './sigv4.ts'
import { countTokens } from './token-count.ts'
import { quote } from './token-text.ts'

/** Somebody who wants in. */
export interface Attempt {
  readonly client: string
  readonly user: string
  readonly database: string
  readonly tls?: DecisionTls
}

/** What is decided about an attempt; `reason` is set where it is refused. */
export interface Judgement {
  readonly reason?: RefusalReason
  readonly detail: string
  readonly tokenId?: string
  readonly tokenSignedAt?: Date
}

/** Who may come in, whatever protocol they speak. */
export interface Gate {
  /** Refuses a user who is none for IAM, whatever the token: nobody has to ask for it. */
  judgeUser(user: string): Judgement | undefined
  /** Looks at the user, the limit, the token and the policy, in this order. */
  judge(attempt: Attempt, token: string): Judgement
  /** Puts what became of an attempt into the decision log; once for each. */
  record(attempt: Attempt, judgement: Judgement): void
  counts(): Omit<GatewayStats, 'open'>
}

/** @param endpoints All that tokens may be signed for, the gateway's own names included. */
export function makeGate(settings: GatewaySettings, endpoints: readonly Endpoint[]): Gate {
  const pass = limitConnections(settings.maxConnectionsPerSecond)
  const tokens = countTokens()
  let connections = 0
  let admitted = 0
  let refused = 0

  function judgeToken(user: string, token: string): Judgement {
    const { region, credentials } = settings
    const nowMs = settings.now()
    const verification = verifyToken(token, { user, region, endpoints, credentials, nowMs })
    if (verification.reason !== undefined) return verification
    if (verification.tokenId !== undefined) tokens.add(verification.tokenId, nowMs)
    const evaluation = settings.evaluatePolicy?.(user)
    if (evaluation === undefined) return verification
    const detail = `${verification.detail}; ${evaluation.detail}`
    return evaluation.allowed
      ? { ...verification, detail }
      : { ...verification, reason: 'NotAuthorized', detail }
  }

  function judgeUser(user: string): Judgement | undefined {
    if (settings.users === undefined || settings.users.has(user)) return undefined
    return { reason: 'NotIamUser', detail: `${quote(user)} is not among the IAM users of this gateway` }
  }

  return {
    judgeUser,
    judge({ user }, token) {
      connections += 1
      const stranger = judgeUser(user)
      if (stranger !== undefined) return stranger
      if (!pass(settings.now())) {
        const limit = settings.maxConnectionsPerSecond
        return { reason: 'ThrottlingException', detail: `more than ${limit} new connections within a second` }
      }
      return judgeToken(user, token)
    },
    record(attempt, judgement) {
      const verdict = judgement.reason === undefined ? 'admitted' : 'refused'
      if (verdict === 'admitted') admitted += 1
      else refused += 1
      const decision: Decision = { at: new Date(settings.now()), ...attempt, verdict, ...judgement }
      try {
        settings.onDecision(decision)
      } catch (error) {
        // A listener's mistake must not decide about a connection.
        process.emitWarning(
          `onDecision of the gateway threw: ${error instanceof Error ? error.message : 'no error'}`,
        )
      }
    },
    counts: () => ({ connections, admitted, refused, tokens: tokens.total() }),
  }
}
