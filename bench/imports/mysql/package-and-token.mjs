// What the package imports and does until it has its first token, where the credentials stand in the environment.
import { signWithEnvironment } from '../../../dist/token/environment-signer.js'

export { iamMysql } from 'middy-rds-iam/mysql2'

export const token = await signWithEnvironment(
  { host: 'localhost', port: 3306, region: 'eu-west-1', user: 'notes_app' },
  { accessKeyId: 'defaultkey', secretAccessKey: 'defaultsecret' },
)
