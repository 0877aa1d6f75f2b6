import { RdsIamError } from 'middy-rds-iam'
import type { Server } from './server.ts'

/** What `pg` and `mysql2` tell of a statement that the server refused. */
interface StatementError extends Error {
  readonly code?: string
  /** Of PostgreSQL: the character of the whole text at which it went wrong, from 1. */
  readonly position?: string
  /** Of PostgreSQL. An error of the connection has none. */
  readonly severity?: string
  /** Of MySQL, likewise. */
  readonly sqlState?: string
}

/**
 * Runs the SQL of the option `setup`.
 *
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` where the server refuses a statement: with the server's words and,
 * where it tells one, the line.
 */
export async function runSetup(
  server: Pick<Server, 'query'>,
  database: string,
  setup: string,
): Promise<void> {
  try {
    await server.query(setup, database)
  } catch (cause) {
    const { severity, sqlState } = cause as StatementError
    if ((severity ?? sqlState) === undefined) throw cause
    throw wrongSetup(`fails${describe(cause as StatementError, setup)}`, cause)
  }
}

/** What is wrong with the setup, as the other options' errors say it. */
export function wrongSetup(problem: string, cause?: unknown): RdsIamError {
  const message = `startDatabase: an option is wrong:\n- \`setup\` ${problem}`
  return new RdsIamError('RDS_IAM_OPTIONS', message, { cause })
}

/**
 * PostgreSQL tells the place in the whole text, MySQL the line in the statement alone.
 *
 * @see https://www.postgresql.org/docs/current/protocol-error-fields.html `Position`, in characters, not bytes
 */
function describe({ message, code, position }: StatementError, setup: string): string {
  const before = [...setup].slice(0, Number(position ?? 1) - 1)
  const line = position === undefined ? '' : ` at line ${before.filter(one => one === '\n').length + 1}`
  return `${line}: ${message.replace(/ at line \d+$/, '$& of its statement')} (${code})`
}
