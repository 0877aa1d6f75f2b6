import { connectDeadline, initialisation, readInvocation } from '../connection/invocation.ts'
import { type Attempt, findExplanation } from '../errors/explain.ts'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import { formatTarget } from '../errors/target.ts'
import { readSettings, type Settings } from '../options/settings.ts'
import { readEnvironmentCredentials } from '../token/credentials.ts'
import { createTrust, type Trust } from '../trust/verified-tls.ts'
import { findRegion, openTcp, resolveHost } from './address-steps.ts'
import { authenticate } from './authentication-step.ts'
import { findCredentials } from './credentials-step.ts'
import { runDatabaseSteps } from './database-steps.ts'
import type { DiagnosisEngine } from './diagnosed-engine.ts'
import type { DiagnosisObserver, DiagnosisReport } from './diagnosis-report.ts'
import { createSecrets } from './secrets.ts'
import { createSteps, type Outcome, StepFailure } from './steps.ts'
import type { TimeLimit } from './time-limit.ts'
import { verifyServer } from './tls-step.ts'
import { signToken } from './token-step.ts'

/**
 * Goes the whole way to a database, step by step, as the middleware does. After a failed step, those that do
 * not need it are still tried. Never rejects.
 *
 * @param options The options of the middleware.
 * @param context Lambda's context, which tells the account and the time that is left.
 * @param observer Is told of the steps while they happen.
 */
export async function diagnoseDatabase<Connection>(
  engine: DiagnosisEngine<Connection>,
  options: unknown,
  context?: object,
  observer?: DiagnosisObserver,
): Promise<DiagnosisReport> {
  const startedMs = performance.now()
  const secrets = createSecrets()
  for (const keys of [readEnvironmentCredentials(), (options as { credentials?: unknown })?.credentials]) {
    for (const [name, value] of Object.entries(keys ?? {})) if (/secret|token/i.test(name)) secrets.add(value)
  }
  let attempt: Attempt | undefined
  const steps = createSteps(secrets, error => findExplanation(error, attempt ?? unknownAttempt), observer)

  const settings = await steps.run('options', [], () => readOptions(engine, options))
  const invocation = context === undefined ? initialisation : readInvocation(context)
  const limit: TimeLimit = {
    stepMs: settings?.connectTimeoutMs ?? 0,
    deadlineMs: connectDeadline(invocation, Number.POSITIVE_INFINITY),
  }
  attempt = settings && { ...settings, account: invocation.account }
  // Where authorities are missing, the step `tls` says so if the server is refused for it.
  const trust = settings && createTrust({ ...settings, everyRegion: settings.followsWriter }, () => {})

  const region = await steps.run('region', ['options'], () =>
    findRegion(settings as Settings, (options as { region?: unknown } | undefined)?.region),
  )
  // Steps that need the settings are skipped if there are none, so the cast is safe in them.
  const given = { ...settings, ...(region !== undefined && { region }) } as Settings
  attempt = settings && { ...given, account: invocation.account }
  await steps.run('dns', ['options'], () => resolveHost(given, limit))
  const socket = await steps.run('tcp', ['dns'], () => openTcp(given, limit))
  await steps.run('tls', ['tcp'], async () =>
    verifyServer(engine, {
      socket: socket as NonNullable<typeof socket>,
      tls: await (trust as Trust).load().catch(error => {
        socket?.destroy()
        throw error
      }),
      settings: given,
      attempt: attempt as Attempt,
      limit,
    }),
  )
  const found = await steps.run('credentials', ['options'], () => findCredentials(given, secrets, limit))
  attempt = settings && { ...given, account: invocation.account ?? found?.account }
  const token = await steps.run('token', ['region', 'credentials'], () =>
    signToken(given, found as NonNullable<typeof found>, secrets, limit),
  )
  const admitted = await steps.run('authentication', ['tls', 'token'], () =>
    authenticate(engine, {
      settings: given,
      attempt: attempt as Attempt,
      trust: trust as Trust,
      token: token as NonNullable<typeof token>,
      limit,
    }),
  )
  await runDatabaseSteps(engine, steps, given, admitted, limit)

  return {
    ok: steps.done.every(({ status }) => status !== 'failed'),
    engine: engine.name,
    ...(attempt === undefined ? {} : { target: formatTarget(attempt) }),
    at: new Date().toISOString(),
    durationMs: Math.round((performance.now() - startedMs) * 10) / 10,
    steps: steps.done,
  }
}

/** Stands for the attempt until the options are read. */
const unknownAttempt: Attempt = {
  user: '',
  host: '',
  port: 0,
  database: '',
  region: '',
  endpoint: { host: '', port: 0 },
  failures: [],
}

function readOptions<Connection>(
  { engine }: DiagnosisEngine<Connection>,
  options: unknown,
): Outcome<Settings> {
  try {
    const settings = readSettings(engine, options)
    const { host, port, user, database, endpoint } = settings
    return {
      finding: formatTarget(settings),
      details: { host, port, user, database, endpoint: `${endpoint.host}:${endpoint.port}` },
      value: settings,
    }
  } catch (error) {
    if (!(error instanceof RdsIamError)) throw error
    const [, ...problems] = error.message.split('\n- ')
    throw new StepFailure(
      {
        code: error.code,
        observed: problems.join('; '),
        remedy: 'Correct what is named: each line says how. What is not given is read from the environment.',
      },
      { problems },
    )
  }
}
