import { createHandlerInsideVpc } from 'middy-rds-iam/database-user'

/** Runs the SQL for `database-user.ts`. In the VPC of the database. */
export const handler = createHandlerInsideVpc()
