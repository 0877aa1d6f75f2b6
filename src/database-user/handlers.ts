/**
 * The two handlers of the custom resource `Custom::DatabaseUser`: a database user that IAM decides about,
 * created, kept and dropped with its stack. One runs outside the VPC of the database and the other inside, so
 * that neither can do everything.
 *
 * @example
 * ```ts
 * import { createHandlerOutsideVpc } from 'middy-rds-iam/database-user'
 *
 * export const handler = createHandlerOutsideVpc()
 * ```
 * @module middy-rds-iam/database-user
 */
export type { DatabaseUserOptions, InvocationContext } from './handler-options.ts'
export { createHandlerInsideVpc } from './inside-vpc.ts'
export { createHandlerOutsideVpc } from './outside-vpc.ts'
export type { DatabaseUser, TaskOutcome, TaskOwner, UserTask } from './user-task.ts'
