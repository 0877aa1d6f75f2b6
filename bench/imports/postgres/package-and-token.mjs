// What the package imports and does until it has its first token, where the credentials stand in the environment.
import { signWithEnvironment } from '../../../dist/token/environment-signer.js'

export { iamPg } from 'middy-rds-iam/pg'

export const token = await signWithEnvironment(
  { host: 'localhost', port: 5432, region: 'eu-west-1', user: 'notes_app' },
  { accessKeyId: 'defaultkey', secretAccessKey: 'defaultsecret' },
)
