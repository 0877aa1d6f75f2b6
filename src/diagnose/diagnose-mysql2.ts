/**
 * Where the way to a MySQL or MariaDB database is broken, and what to do about it.
 *
 * @example
 * ```ts
 * import { diagnoseMysql, formatReport } from 'middy-rds-iam/diagnose/mysql2'
 *
 * console.log(formatReport(await diagnoseMysql({ user: 'shop_app' })))
 * ```
 * @module middy-rds-iam/diagnose/mysql2
 */
import type { Socket } from 'node:net'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { createMysqlConnect } from '../drivers/mysql2/driver.ts'
import { coreOf, streamOf } from '../drivers/mysql2/internals.ts'
import { mysqlEngine } from '../options/mysql-engine.ts'
import type { IamMysqlOptions } from '../options/mysql2-options.ts'
import { diagnoseDatabase } from './diagnose.ts'
import type { DiagnosisEngine, Row } from './diagnosed-engine.ts'
import type { DiagnosisObserver, DiagnosisReport } from './diagnosis-report.ts'
import { mysqlChecks } from './mysql-checks.ts'
import { readMysqlGreeting, sslRequest } from './mysql-greeting.ts'
import { receive } from './receive.ts'

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
 * Goes the whole way to a MySQL or MariaDB database as `iamMysql` does, step by step, and says where it
 * breaks and what to do. It opens connections of its own and closes them. The report holds no secret.
 *
 * @param options The options of `iamMysql`.
 * @param context Lambda's context, if there is one. It tells the account and the time that is left.
 * @param observer Is told of each step when it begins and when it has ended.
 * @returns A report, whatever fails: the promise never rejects.
 * @example
 * ```ts
 * const options = { host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', user: 'shop_app' }
 * const { ok, steps } = await diagnoseMysql(options)
 * if (!ok) console.error(steps.find(({ status }) => status === 'failed'))
 * ```
 */
export function diagnoseMysql(
  options?: IamMysqlOptions<string>,
  context?: object,
  observer?: DiagnosisObserver,
): Promise<DiagnosisReport> {
  return diagnoseDatabase(engine, options, context, observer)
}

/** MySQL and MariaDB, through mysql2. */
const engine: DiagnosisEngine<Connection> = {
  name: 'mysql',
  engine: { ...mysqlEngine, factory: 'diagnoseMysql' },
  createConnect: createMysqlConnect,
  async requestTls(socket: Socket) {
    await receive(socket, readMysqlGreeting)
    socket.write(sslRequest)
    return {}
  },
  query: async (connection, sql) => {
    const options = { sql, rowsAsArray: false, nestTables: false, typeCast: readText }
    const [rows] = await connection.query<RowDataPacket[]>(options)
    return rows as readonly Row[]
  },
  streamOf: connection => streamOf(coreOf(connection)),
  checks: mysqlChecks,
}

function readText(field: { string(): string | null }): string | null {
  return field.string()
}
