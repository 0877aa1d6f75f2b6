import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { MiddlewareSettings } from '../options/settings.ts'

/**
 * Gives what a handler gets in place of a connection: the same for as long as the connection lives.
 *
 * @param name Whose option `wrap` is, for errors: `iamPg`.
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` where `wrap` throws or returns no object.
 */
export function createWraps(name: string, wrap: MiddlewareSettings['wrap']): (connection: object) => object {
  if (wrap === undefined) return connection => connection
  const wrapped = new WeakMap<object, object>()

  const make = (connection: object): object => {
    let made: unknown
    try {
      made = wrap(connection as never)
    } catch (cause) {
      throw wrapFailed(name, `threw: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
    }
    if (made instanceof Promise) {
      // Nobody waits for it.
      made.catch(() => {})
      throw wrapFailed(name, 'returned a promise')
    }
    if (made === null || (typeof made !== 'object' && typeof made !== 'function'))
      throw wrapFailed(
        name,
        `returned ${made === undefined || made === null ? 'nothing' : `a ${typeof made}`}`,
      )
    wrapped.set(connection, made)
    return made
  }

  return connection => wrapped.get(connection) ?? make(connection)
}

function wrapFailed(name: string, what: string, cause?: unknown): RdsIamError {
  return new RdsIamError('RDS_IAM_OPTIONS', `${name}: \`wrap\` ${what}.`, {
    cause,
    remedy:
      'It is given the connection or pool, and returns at once what the handler is to get, for example an ORM.',
  })
}
