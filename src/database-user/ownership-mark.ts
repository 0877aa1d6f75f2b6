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
}

const madeBy = 'middy-rds-iam'

export function formatMark({ owner: { stack, resource, id }, database }: UserTask): string {
  return JSON.stringify({ madeBy, stack, resource, id, database })
}

/** @returns The mark, where there is one and the resource that the task is for made it. */
export function readOwnMark(text: unknown, { owner }: UserTask): Mark | undefined {
  try {
    const mark = JSON.parse(String(text))
    const isOwn = mark.madeBy === madeBy && mark.stack === owner.stack && mark.resource === owner.resource
    return isOwn ? mark : undefined
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
