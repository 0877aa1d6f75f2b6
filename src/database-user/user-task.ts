import type { VerifiedTls } from '../trust/verified-tls.ts'

/** A database user, and the database that it is for. */
export interface DatabaseUser {
  /** `'mysql'` is MariaDB's too. */
  readonly engine: 'postgres' | 'mysql'
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

/** What a resource of a CloudFormation stack is known by. */
export interface TaskOwner {
  /** The stack's ARN, which no later stack of the same name has. */
  readonly stack: string
  /** The resource's name in the template, `NotesUser` for example. */
  readonly resource: string
  /** The resource's physical ID. */
  readonly id: string
}

/** What the function that is in the VPC is asked for. */
export interface UserTask extends DatabaseUser {
  /** `keep` makes the user what it should be, and creates it where it is not there. */
  readonly action: 'keep' | 'drop'
  readonly owner: TaskOwner
  /** Statements that may be repeated. */
  readonly setup: readonly string[]
  /** `SELECT, INSERT ON notes` for example. */
  readonly grants: readonly string[]
  /** What was granted and no longer should be. */
  readonly revokes: readonly string[]
  readonly master: { readonly username: string; readonly password: string }
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

/** What came of a task. */
export type TaskOutcome =
  | { readonly done: string }
  | {
      readonly failed: string
      /** Whether something of the user that this resource made may be in the database. */
      readonly mayRemain: boolean
    }

/** A task that cannot be done, and why, without any secret. */
export class TaskFailure extends Error {
  override name = 'TaskFailure'
  readonly mayRemain: boolean
  constructor(message: string, { mayRemain = false }: { readonly mayRemain?: boolean } = {}) {
    super(message)
    this.mayRemain = mayRemain
  }
}

/** What an error says; those of a host with several addresses say nothing themselves. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return describeError(error.errors[0])
  if (!(error instanceof Error)) return 'unknown error'
  const { code, detail } = error as { code?: unknown; detail?: unknown }
  const parts = [typeof code === 'string' ? `${error.message} (${code})` : error.message]
  // PostgreSQL names here what a role is still needed for.
  if (typeof detail === 'string') parts.push(detail)
  return parts.join(': ')
}
