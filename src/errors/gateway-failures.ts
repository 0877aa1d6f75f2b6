import type { Failure } from './failure.ts'

/**
 * What the gateway of `rds-iam-kit` says where the server behind it lets nobody in: PostgreSQL's
 * sqlserver_rejected_establishment_of_sqlconnection, MySQL's ER_CONNECT_TO_FOREIGN_DATA_SOURCE. Its words hold
 * those of that server, which are about the gateway's own login.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 * @see https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 */
export const gatewayFailures: readonly Failure[] = [
  {
    code: 'RDS_IAM_DATABASE',
    patterns: [
      {
        codes: ['08004', 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE'],
        message: /^The (gateway|server behind the gateway)/,
      },
    ],
    check:
      'The token was let in: start the gateway with what the server behind it wants, as its words above say.',
  },
]
