import type { RdsIamLogger } from '../events/observers.ts'
import { createChecks, refuseProblems } from '../options/checks.ts'
import { readLogger } from '../options/observer-options.ts'

/**
 * Options of both handlers.
 *
 * @example { logger: console }
 */
export interface DatabaseUserOptions {
  /**
   * Who writes one message for each event: the Logger of Powertools for AWS Lambda for example.
   *
   * @default a line of JSON on standard output, which Lambda takes into the log as it is
   */
  readonly logger?: RdsIamLogger | undefined
}

/**
 * What a handler reads of Lambda's context.
 *
 * @example { getRemainingTimeInMillis: () => 60_000 }
 * @see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html
 */
export interface InvocationContext {
  /** How long the invocation may still take, in milliseconds. */
  getRemainingTimeInMillis(): number
}

/**
 * Checks a handler's options.
 *
 * @param factory Whose options they are, for errors.
 * @param service What a line of JSON is to call the function.
 * @returns The logger, as far as the handlers use it.
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once and what it got.
 */
export function readHandlerLogger(
  factory: string,
  service: string,
  options: DatabaseUserOptions | undefined,
): Pick<RdsIamLogger, 'info'> {
  const checks = createChecks()
  const given = checks.object('options', options, 'an object') ?? {}
  for (const name of Object.keys(given)) if (name !== 'logger') checks.complain(name, 'is not an option')
  const logger = readLogger(checks, given.logger)
  refuseProblems(factory, checks.problems)
  return logger ?? createLineLogger(service)
}

/** Writes what Powertools' Logger would, which a function that does nothing else need not load. */
function createLineLogger(service: string): Pick<RdsIamLogger, 'info'> {
  return {
    info: (message, fields) => {
      const timestamp = new Date().toISOString()
      const line = JSON.stringify({ level: 'INFO', message, timestamp, service, ...fields })
      process.stdout.write(`${line}\n`)
    },
  }
}
