import type { VerifiedTls } from '../trust/verified-tls.ts'

/**
 * A database user, and the database that it is for.
 *
 * @example
 * ```ts
 * {
 *   engine: 'postgres', host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432,
 *   database: 'orders', user: 'orders_app',
 * }
 * ```
 */
export interface DatabaseUser {
  /** `'mysql'` is MariaDB's too. */
  readonly engine: 'postgres' | 'mysql'
  /** The server's endpoint, for example `orders.c1x2.eu-west-1.rds.amazonaws.com`. */
  readonly host: string
  /** The port, for example `5432`. */
  readonly port: number
  /** The database that the user is for. */
  readonly database: string
  /** The database user, case-sensitive. */
  readonly user: string
}

/**
 * What a resource of a CloudFormation stack is known by.
 *
 * @example
 * ```ts
 * {
 *   stack: 'arn:aws:cloudformation:eu-west-1:123456789012:stack/orders/51af3dc0', resource: 'OrdersUser',
 *   id: 'postgres://orders.c1x2.eu-west-1.rds.amazonaws.com:5432/orders/orders_app',
 * }
 * ```
 */
export interface TaskOwner {
  /** The stack's ARN, which no later stack of the same name has. */
  readonly stack: string
  /** The resource's name in the template, `NotesUser` for example. */
  readonly resource: string
  /** The resource's physical ID. */
  readonly id: string
}

/**
 * What the function that is in the VPC is asked for.
 *
 * @example
 * ```ts
 * const owner: TaskOwner = {
 *   stack: 'arn:aws:cloudformation:eu-west-1:123456789012:stack/orders/51af3dc0', resource: 'OrdersUser',
 *   id: 'postgres://orders.c1x2.eu-west-1.rds.amazonaws.com:5432/orders/orders_app',
 * }
 * const user: DatabaseUser = {
 *   engine: 'postgres', host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432,
 *   database: 'orders', user: 'orders_app',
 * }
 * const master = { username: 'postgres', password: process.env.MASTER_PASSWORD ?? '' }
 * const task: UserTask = { ...user, owner, master, action: 'keep', setup: [], grants: ['SELECT ON orders'] }
 * ```
 */
export interface UserTask extends DatabaseUser {
  /** `keep` makes the user what it should be, and creates it where it is not there. */
  readonly action: 'keep' | 'drop'
  /** The resource that the user belongs to. */
  readonly owner: TaskOwner
  /** Statements that may be repeated. */
  readonly setup: readonly string[]
  /** All that the user may do, `SELECT, INSERT ON notes` for example. What is not among them is revoked. */
  readonly grants: readonly string[]
  /** The master user, who runs the SQL. */
  readonly master: {
    /** For example `postgres`. */
    readonly username: string
    /** Never logged, and in no outcome. */
    readonly password: string
  }
}

/** A task, and how its database is reached. */
export interface TaskRun {
  readonly task: UserTask
  readonly tls: VerifiedTls
  /** How long the server may take for a statement. */
  readonly statementTimeoutMs: number
}

/** For connecting, all of it. */
export const connectTimeoutMs = 10_000

/**
 * How long a statement waits for what another session keeps to itself: half of its time, so that the server
 * says what it waited for, and no longer than an update of a stack is worth.
 */
export function lockTimeoutMs(statementTimeoutMs: number): number {
  return Math.min(10_000, Math.ceil(statementTimeoutMs / 2))
}

/**
 * What came of a task.
 *
 * @example { failed: 'That is no task of the function that answers CloudFormation', mayRemain: false }
 */
export type TaskOutcome =
  | {
      /** What was done, in a sentence. */
      readonly done: string
    }
  | {
      /** Why it could not be done, without any secret. */
      readonly failed: string
      /** Whether something of the user that this resource made may be in the database. */
      readonly mayRemain: boolean
    }

/** A task that cannot be done, and why, without any secret. */
export class TaskFailure extends Error {
  override name = 'TaskFailure'
  readonly mayRemain: boolean
  constructor(
    message: string,
    { mayRemain = false, cause }: { readonly mayRemain?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, { cause })
    this.mayRemain = mayRemain
  }
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html: lock_not_available, query_canceled.
// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html: 1205.
const waitedFor = ['55P03', '57014', 'ER_LOCK_WAIT_TIMEOUT']

/** A connection as the master user that could not be opened; its cause says why. */
export class ConnectFailure extends TaskFailure {}

/** What an error says; those of a host with several addresses say nothing themselves. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return describeError(error.errors[0])
  if (!(error instanceof Error)) return 'unknown error'
  const { code, detail } = error as { code?: unknown; detail?: unknown }
  const parts = [typeof code === 'string' ? `${error.message} (${code})` : error.message]
  // PostgreSQL names here what a role is still needed for.
  if (typeof detail === 'string') parts.push(detail)
  if (waitedFor.includes(String(code)))
    parts.push(
      'another session kept something to itself for too long; end it, or try again when it has ended',
    )
  return parts.join(': ')
}

/**
 * Whether an error of connecting says that the server is deleted: the name of an endpoint goes with it.
 *
 * @see https://nodejs.org/api/dns.html#error-codes
 */
export function isServerGone(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'ENOTFOUND'
}

/** What a deletion says where the server is gone, and the user with it. */
export function describeGone({ host, user }: DatabaseUser): string {
  return `${host} is not there any more, and so neither is ${JSON.stringify(user)}.`
}
