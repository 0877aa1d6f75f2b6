import { createHandlerOutsideVpc } from 'middy-rds-iam/database-user'

/** The custom resource `Custom::DatabaseUser`, which answers CloudFormation. In no VPC. */
export const handler = createHandlerOutsideVpc()
