/**
 * Where the way to a PostgreSQL database is broken, and what to do about it.
 *
 * @example
 * ```ts
 * import { diagnosePg, formatReport } from 'middy-rds-iam/diagnose/pg'
 *
 * console.log(formatReport(await diagnosePg({ user: 'orders_app' })))
 * ```
 * @module middy-rds-iam/diagnose/pg
 */
import type { Socket } from 'node:net'
import type { Client, QueryConfig } from 'pg'
import { createPgConnect } from '../drivers/pg/driver.ts'
import { streamOf } from '../drivers/pg/internals.ts'
import type { IamPgOptions } from '../options/pg-options.ts'
import { postgresEngine } from '../options/postgres-engine.ts'
import type { Settings } from '../options/settings.ts'
import { diagnoseDatabase } from './diagnose.ts'
import type { DiagnosisEngine, Row } from './diagnosed-engine.ts'
import type { DiagnosisObserver, DiagnosisReport } from './diagnosis-report.ts'
import { postgresChecks } from './postgres-checks.ts'
import { receive } from './receive.ts'
import { StepFailure } from './steps.ts'

export type {
  DiagnosisDetails,
  DiagnosisObserver,
  DiagnosisReport,
  DiagnosisStatus,
  DiagnosisStep,
  DiagnosisStepName,
} from './diagnosis-report.ts'
export { formatReport, formatStep, formatVerdict, type Paint } from './format.ts'

/**
 * Goes the whole way to a PostgreSQL database as `iamPg` does, step by step, and says where it breaks and
 * what to do. It opens connections of its own and closes them. The report holds no secret.
 *
 * @param options The options of `iamPg`.
 * @param context Lambda's context, if there is one. It tells the account and the time that is left.
 * @param observer Is told of each step when it begins and when it has ended.
 * @returns A report, whatever fails: the promise never rejects.
 * @example
 * ```ts
 * const options = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app' }
 * const { ok, steps } = await diagnosePg(options)
 * if (!ok) console.error(steps.find(({ status }) => status === 'failed'))
 * ```
 */
export function diagnosePg(
  options?: IamPgOptions<string>,
  context?: object,
  observer?: DiagnosisObserver,
): Promise<DiagnosisReport> {
  return diagnoseDatabase(engine, options, context, observer)
}

// https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/** PostgreSQL, through pg. */
const engine: DiagnosisEngine<Client> = {
  name: 'postgres',
  engine: { ...postgresEngine, factory: 'diagnosePg' },
  createConnect: createPgConnect,
  requestTls,
  query: async (client, text) => {
    const asText: QueryConfig['types'] = { getTypeParser: () => (value: unknown) => value }
    return (await client.query<Row>({ text, types: asText })).rows
  },
  streamOf,
  checks: postgresChecks,
}

async function requestTls(socket: Socket, { client }: Settings): Promise<{ ALPNProtocols?: string[] }> {
  if (client.sslnegotiation === 'direct') return { ALPNProtocols: ['postgresql'] }
  const answer = receive(socket, bytes => (bytes.length > 0 ? bytes : undefined))
  socket.write(sslRequest)
  const bytes = await answer
  // The greeting of MySQL, its version 10: a server of PostgreSQL says nothing before it is asked.
  // https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
  if (bytes[3] === 0 && bytes[4] === 10)
    throw new StepFailure({
      code: 'RDS_IAM_TRUST',
      observed: 'a server of MySQL or MariaDB greets there',
      remedy:
        'Give the host and the port of PostgreSQL; or use `diagnoseMysql` (on the command line `--engine mysql`).',
    })
  // In pg's words. Whatever comes behind the one letter was not said over TLS.
  if (bytes.toString('latin1') === 'N') throw new Error('The server does not support SSL connections')
  if (bytes.toString('latin1') !== 'S') throw new Error('There was an error establishing an SSL connection')
  return {}
}
