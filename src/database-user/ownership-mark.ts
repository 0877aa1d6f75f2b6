import type { TaskOwner, UserTask } from './user-task.ts'

/**
 * What is kept beside a database user, in the database: which resource of which stack made it. A user without
 * it is nobody's business here.
 *
 * PostgreSQL has a place that every database of the server sees and that goes with the role, its comment.
 * MySQL before 8.0.21 and MariaDB have none, so that there a table of the master user's own holds the same
 * text.
 */
export interface Mark extends TaskOwner {
  /** The database that the resource has last given the user rights in. */
  readonly database: string
  /**
   * What the resource has given the user, by database: what is revoked later is read here. Old properties of
   * a request would say what somebody asked for, whether or not it was ever granted. The server's catalogue
   * alone would not tell what somebody else has given by hand.
   *
   * For PostgreSQL, these are the texts of `Grants`: only who may create roles can write a role's comment. For
   * MySQL and MariaDB, they are rights as the server says them, and are never run as SQL: they only choose
   * among those that it lists.
   */
  readonly granted: Granted
}

export type Granted = Readonly<Record<string, readonly string[]>>

const madeBy = 'middy-rds-iam'

export function formatMark({ owner: { stack, resource, id }, database }: UserTask, granted: Granted): string {
  return JSON.stringify({ madeBy, stack, resource, id, database, granted })
}

/** The text of another mark with other grants. */
export function formatGranted(mark: Mark, granted: Granted): string {
  return JSON.stringify({ madeBy, ...mark, granted })
}

/** @returns What was granted in a database, and is remembered. */
export function grantedIn({ granted }: Pick<Mark, 'granted'>, database: string): readonly string[] {
  const texts: unknown = Object.hasOwn(granted, database) ? granted[database] : []
  return Array.isArray(texts) ? texts.filter(text => typeof text === 'string') : []
}

/** @returns The same without a database, in which nothing is granted any more. */
export function withoutDatabase({ granted }: Pick<Mark, 'granted'>, database: string): Granted {
  return Object.fromEntries(Object.entries(granted).filter(([name]) => name !== database))
}

/** @returns The mark, where there is one and the resource that the task is for made it. */
export function readOwnMark(text: unknown, { owner }: UserTask): Mark | undefined {
  try {
    const mark = JSON.parse(String(text))
    const isOwn = mark.madeBy === madeBy && mark.stack === owner.stack && mark.resource === owner.resource
    return isOwn ? { ...mark, granted: mark.granted ?? {} } : undefined
  } catch {
    // Somebody's comment.
    return undefined
  }
}

export function refuseForeign({ user, owner }: UserTask): string {
  return (
    `The user ${JSON.stringify(user)} is there already, and ${owner.resource} of this stack did not make it. ` +
    'Take another name, or drop that user.'
  )
}
