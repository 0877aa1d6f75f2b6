// What the package imports and does until it has its first token, with credentials from the environment.
import { createTokenSource } from 'middy-rds-iam'

export { iamPg } from 'middy-rds-iam/pg'

process.env.AWS_ACCESS_KEY_ID = 'defaultkey'
process.env.AWS_SECRET_ACCESS_KEY = 'defaultsecret'
const options = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, user: 'notes_app' }
export const token = await createTokenSource(options)()
