import { partitionOf } from './endpoint.ts'
import { RdsIamError, type RdsIamErrorCode } from './errors.ts'

/** What was tried when it failed. */
export interface Attempt {
  readonly user: string
  readonly host: string
  readonly port: number
  readonly database: string
  readonly region: string
  /** The RDS endpoint, where `host` is another name for it. */
  readonly endpointHost: string
  /** The AWS account, where the invocation tells it. */
  readonly account?: string | undefined
}

/** A way to recognise a failure: all that is given must fit. */
interface Sign {
  /** Codes of the driver or of Node: a SQLSTATE, an `errno` name. Many errors of drivers carry none. */
  readonly codes?: readonly string[]
  readonly message?: RegExp
}

/** One kind of failure. */
interface Rule {
  readonly code: RdsIamErrorCode
  /** Any of these will do. */
  readonly signs: readonly Sign[]
  /** What it means and what to check first. */
  readonly check: string | ((attempt: Attempt) => string)
}

/** SQLSTATEs that say that authentication failed, and not why. */
const authentication = ['28000', '28P01']

// The first rule that fits is taken.
// SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
// Words of RDS: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Troubleshooting.html
const rules: readonly Rule[] = [
  {
    code: 'RDS_IAM_TRUST',
    signs: [{ codes: ['ERR_TLS_CERT_ALTNAME_INVALID'] }],
    check: ({ endpointHost }) =>
      `The certificate is another server's than ${endpointHost}. If the host is a CNAME or a tunnel, pass the real RDS ` +
      'endpoint as `endpoint`.',
  },
  {
    code: 'RDS_IAM_TRUST',
    signs: [{ codes: ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'] }],
    check:
      'The certificate is not valid today. Rotate the certificate of the database instance, or check the clock of this machine.',
  },
  {
    code: 'RDS_IAM_TRUST',
    signs: [
      {
        codes: [
          'SELF_SIGNED_CERT_IN_CHAIN',
          'DEPTH_ZERO_SELF_SIGNED_CERT',
          'UNABLE_TO_GET_ISSUER_CERT',
          'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
          'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
          'CERT_SIGNATURE_FAILURE',
          'CERT_UNTRUSTED',
          'INVALID_CA',
          'INVALID_PURPOSE',
          'PATH_LENGTH_EXCEEDED',
          'CERT_CHAIN_TOO_LONG',
          'CERT_REJECTED',
          'CERT_REVOKED',
        ],
      },
    ],
    check: ({ region }) =>
      `The certificate does not come from an authority of Amazon RDS in ${region} or of Amazon Trust Services. Check that the ` +
      'host is the database; for an authority of your own, pass its PEM text as `tls.ca`.',
  },
  {
    code: 'RDS_IAM_TRUST',
    signs: [
      { message: /does not support SSL|error establishing an SSL connection|SSL routines|ssl\/tls alert/i },
    ],
    check:
      'The server does not speak TLS as RDS does. Check that the host and the port are those of the RDS database.',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    signs: [{ codes: authentication, message: /PAM authentication failed|IAM authentication failed/i }],
    check: attempt =>
      'The server refused the authentication token. Check first that the role may `rds-db:connect` on ' +
      `${connectArn(attempt)}; then that IAM authentication is enabled on the database, that the user's name is spelled as in ` +
      'the database, and the clock. Throttled connections get the same answer: the metric ' +
      'IamDbAuthConnectionFailureThrottling and the log iam-db-auth-error of the database tell.',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    signs: [{ codes: authentication, message: /no credentials for the role/i }],
    check: 'RDS Proxy has no secret for this user. Add one, or set DefaultAuthScheme to IAM_AUTH.',
  },
  {
    code: 'RDS_IAM_NOT_GRANTED',
    signs: [
      { codes: authentication, message: /password authentication failed|does not exist/i },
      { message: /asked for a password/i },
    ],
    check: ({ user }) => {
      const name = quote(user)
      return (
        `The database does not take ${user} for an IAM user. Run \`CREATE USER ${name}; GRANT rds_iam TO ${name};\` in it as its ` +
        'master user, and check the spelling.'
      )
    },
  },
  {
    code: 'RDS_IAM_NOT_GRANTED',
    signs: [{ codes: authentication, message: /not permitted to log in/i }],
    check: ({ user }) => `Run \`ALTER ROLE ${quote(user)} LOGIN;\` as the master user.`,
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    signs: [{ codes: authentication }],
    check: 'The server refused the connection for a reason of its own; its words above tell.',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    signs: [{ codes: ['53300'], message: /for (role|database) "/ }],
    check: ({ user, database }) =>
      `There is a limit of its own: see \`ALTER ROLE ${quote(user)} CONNECTION LIMIT\` and ` +
      `\`ALTER DATABASE ${quote(database)} CONNECTION LIMIT\`.`,
  },
  {
    code: 'RDS_IAM_THROTTLED',
    signs: [{ codes: ['53300'] }, { message: /too many competing requests|rate limit exceeded/i }],
    check:
      'There are more connections than the server takes. Lower `max` or the concurrency of the function, or put RDS Proxy before ' +
      'the database.',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    signs: [{ message: /timeout exceeded when trying to connect|all connections are in use/i }],
    check:
      'Every connection of this execution environment is in use. Return them to the pool, or raise `max`.',
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    signs: [{ codes: ['57P01', '57P02', '57P03', '57P05'] }],
    check: 'The server is starting up, shutting down or failing over. It takes connections again shortly.',
  },
  {
    code: 'RDS_IAM_DATABASE',
    signs: [{ codes: ['3D000'] }],
    check: ({ database }) =>
      `Authentication worked, but there is no database "${database}". Check \`database\`.`,
  },
  {
    code: 'RDS_IAM_DATABASE',
    signs: [{ codes: ['42501'], message: /for database/ }],
    check: ({ user, database }) =>
      `Authentication worked. Run \`GRANT CONNECT ON DATABASE ${quote(database)} TO ${quote(user)};\` as the database's owner.`,
  },
  {
    code: 'RDS_IAM_OPTIONS',
    signs: [{ message: /Cannot find (module|package) 'pg-native'/ }],
    check:
      'Unset NODE_PG_FORCE_NATIVE: pg loads pg-native because of it, and this package uses the JavaScript client.',
  },
  {
    code: 'RDS_IAM_CREDENTIALS',
    signs: [{ message: /signing did not finish/ }],
    check:
      'The server waited for the authentication token. Check that the provider of the credentials, or the `signer`, answers.',
  },
  {
    code: 'RDS_IAM_UNREACHABLE',
    signs: [{ message: /no time left to connect/ }],
    check: "Nothing was tried. Raise the function's timeout, or look at what took its time before.",
  },
  {
    code: 'RDS_IAM_UNREACHABLE',
    signs: [{ codes: ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA'] }],
    check: ({ host }) =>
      `The name ${host} cannot be resolved. Check its spelling, and the DNS settings of the VPC.`,
  },
  {
    code: 'RDS_IAM_UNREACHABLE',
    signs: [{ codes: ['ECONNREFUSED'] }],
    check: 'Nothing listens there. Check the host and the port, and that the database runs.',
  },
  {
    code: 'RDS_IAM_UNREACHABLE',
    signs: [
      { codes: ['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'] },
      { message: /timeout expired|due to connection timeout|no connection within/i },
    ],
    check:
      "No answer came. Check that the function is in the database's VPC, and that the database's security group admits the " +
      "function's on this port.",
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    signs: [
      { codes: ['ECONNRESET', 'EPIPE', 'EPROTO', '08006', '08P01'] },
      { message: /connection terminated|socket disconnected|socket hang up/i },
    ],
    check:
      'The server ended the connection. It may be restarting or failing over; it may not be a database at all.',
  },
]

/** Turns whatever a connection attempt failed with into one error that says what was attempted, what was observed and what to check. */
export function diagnose(cause: unknown, attempt: Attempt): RdsIamError {
  if (cause instanceof RdsIamError) return cause
  const { code, message } = readFailure(cause)
  const rule = rules.find(({ signs }) => signs.some(sign => fits(sign, code, message)))
  const check = typeof rule?.check === 'function' ? rule.check(attempt) : rule?.check
  const observed = code === undefined || message.includes(code) ? message : `${message} (${code})`
  return new RdsIamError(
    rule?.code ?? unknownFailure(code),
    `Could not connect as ${describe(attempt)}: ${observed}.${check === undefined ? '' : ` ${check}`}`,
    { cause },
  )
}

/** The attempt in few words, as in `app@orders…:5432/orders in eu-west-1`. */
export function describe({ user, host, port, database, region, endpointHost }: Attempt): string {
  const via = endpointHost === host ? '' : ` (${endpointHost})`
  return `${user}@${host}:${port}/${database}${via} in ${region}`
}

/**
 * The ARN that the role needs, as far as it can be known from here.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
 */
function connectArn({ region, user, account = '<account>' }: Attempt): string {
  return `arn:${partitionOf(region)}:rds-db:${region}:${account}:dbuser:<DbiResourceId>/${user}`
}

/** An error that no rule knows: a server that answers with a SQLSTATE was reached, and had something else to say. */
function unknownFailure(code: string | undefined): RdsIamErrorCode {
  return code !== undefined && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? 'RDS_IAM_DATABASE' : 'RDS_IAM_UNREACHABLE'
}

/** @see https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS */
function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}

function fits({ codes, message: pattern }: Sign, code: string | undefined, message: string): boolean {
  const hasCode = codes === undefined || (code !== undefined && codes.includes(code))
  return hasCode && (pattern === undefined || pattern.test(message))
}

function readFailure(cause: unknown): { code: string | undefined; message: string } {
  if (!(cause instanceof Error)) return { code: undefined, message: String(cause) }
  const { code } = cause as { code?: unknown }
  // Node tries every address of a name; the collected error has no message of its own.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : undefined
  const message = cause.message || (first instanceof Error ? first.message : cause.name)
  return { code: typeof code === 'string' ? code : undefined, message }
}
