import { TLSSocket } from 'node:tls'
import type { Opened } from '../drivers/driver.ts'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import { isRdsHost } from '../identifiers/region.ts'
import type { Settings } from '../options/settings.ts'
import { withinAnswerTime } from '../time/deadline.ts'
import { compareWithAws } from './clock-step.ts'
import type { DiagnosisEngine, Look } from './diagnosed-engine.ts'
import type { Outcome, Steps } from './steps.ts'
import { type TimeLimit, withinLimit } from './time-limit.ts'

/** Runs the checks inside the database, and ends the connection. */
export async function runDatabaseSteps<Connection>(
  engine: DiagnosisEngine<Connection>,
  steps: Steps,
  settings: Settings,
  admitted: Opened<Connection> | RdsIamError | undefined,
  limit: TimeLimit,
): Promise<void> {
  const opened = admitted instanceof RdsIamError ? undefined : admitted
  for (const { name, run } of engine.checks) {
    if (name === 'clock' && isRefusedOnRds(steps, settings)) {
      await steps.run(name, [], () => compareWithAws(settings.region, limit))
      continue
    }
    const needs = name === 'session' ? (['authentication'] as const) : (['session'] as const)
    await steps.run(name, needs, async () => {
      if (admitted instanceof RdsIamError) throw admitted
      return askServer(engine, opened as Opened<Connection>, settings, limit, run)
    })
  }
  await opened?.session.close()
}

/** Whether AWS is to be asked for the time, because a clock that is wrong may be why it refused the token. */
function isRefusedOnRds({ done }: Steps, { endpoint }: Settings): boolean {
  return done.some(({ code }) => code === 'RDS_IAM_ACCESS_DENIED') && isRdsHost(endpoint.host)
}

async function askServer<Connection>(
  engine: DiagnosisEngine<Connection>,
  { connection, session }: Opened<Connection>,
  settings: Settings,
  limit: TimeLimit,
  run: (look: Look) => Promise<Outcome>,
): Promise<Outcome> {
  const stream = engine.streamOf(connection)
  const cipher = stream instanceof TLSSocket ? stream.getCipher() : undefined
  const tls = {
    version: (stream instanceof TLSSocket && stream.getProtocol()) || 'no TLS',
    cipher: cipher?.name ?? '',
    standardCipher: cipher?.standardName ?? '',
  }
  const answer = run({ settings, query: sql => engine.query(connection, sql), tls })
  try {
    return await withinLimit(answer, limit, 'no answer to a query')
  } catch (error) {
    // A server that refuses one query may still answer the others. A ping tells whether it does.
    const isThere = await withinAnswerTime(session.ping()).then(
      () => true,
      () => false,
    )
    if (!isThere) throw error
    return {
      status: 'unknown',
      finding: `not readable: ${error instanceof Error ? error.message : error}`,
      value: undefined,
    }
  }
}
