import type { Opened } from '../drivers/driver.ts'
import { type Attempt, explain } from '../errors/explain.ts'
import type { RdsIamError } from '../errors/rds-iam-error.ts'
import type { Settings } from '../options/settings.ts'
import type { Token } from '../token/token.ts'
import type { Trust } from '../trust/verified-tls.ts'
import type { DiagnosisEngine } from './diagnosed-engine.ts'
import type { Outcome } from './steps.ts'
import { stepDeadline, type TimeLimit } from './time-limit.ts'

/** What to connect with. The steps before have looked at all of it. */
interface AuthenticationAttempt {
  readonly settings: Settings
  readonly attempt: Attempt
  readonly trust: Trust
  readonly token: Token
  readonly limit: TimeLimit
}

/**
 * Connects through the driver as the middleware does, but only once: a failure that would pass by itself is
 * shown too. If the database takes the token and then refuses the session, this step succeeds, and the step
 * `session` shows the refusal.
 */
export async function authenticate<Connection>(
  engine: DiagnosisEngine<Connection>,
  { settings, attempt, trust, token, limit }: AuthenticationAttempt,
): Promise<Outcome<Opened<Connection> | RdsIamError>> {
  let isAsked = false
  const taken = { finding: `the server took the token for ${settings.user}`, details: { isTokenAsked: true } }
  try {
    const opened = await engine.createConnect(settings)({
      tls: await trust.load(),
      timeoutMs: Math.max(1, stepDeadline(limit) - Date.now()),
      token: async () => {
        isAsked = true
        return token
      },
    })
    if (isAsked) return { ...taken, value: opened }
    return {
      status: 'warning',
      finding: `the server let ${settings.user} in without asking for the token`,
      remedy:
        'It is not IAM that decides about this user. Make it an IAM user, as the step iam-user says; a server that is not on RDS lets ' +
        'in whom its own rules name.',
      details: { isTokenAsked: false },
      value: opened,
    }
  } catch (error) {
    const failure = explain(error, { ...attempt, token: isAsked ? 'sent' : 'unasked' })
    if (isAsked && failure.code === 'RDS_IAM_DATABASE') return { ...taken, value: failure }
    throw failure
  }
}
