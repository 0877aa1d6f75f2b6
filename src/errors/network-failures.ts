import { caBundleOf } from '../identifiers/region.ts'
import type { Failure, FailureContext } from './failure.ts'

const checkServer =
  'The server ended the connection. It may be restarting or failing over; it may not be a database at all.'

/** What TLS says, in Node's words. mysql2 puts a code of its own in place of Node's. */
export const tlsFailures: readonly Failure[] = [
  {
    code: 'RDS_IAM_TRUST',
    patterns: [
      { codes: ['ERR_TLS_CERT_ALTNAME_INVALID'] },
      { message: /does not match certificate's altnames/ },
    ],
    check: ({ endpoint }) =>
      `The certificate is another server's than ${endpoint.host}. If the host is a CNAME or a tunnel, pass the real RDS ` +
      'endpoint as `endpoint`.',
  },
  {
    code: 'RDS_IAM_TRUST',
    patterns: [
      { codes: ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'] },
      { message: /certificate has expired|certificate is not yet valid/ },
    ],
    check:
      'The certificate is not valid today. Rotate the certificate of the database instance, or check the clock of this machine.',
  },
  {
    code: 'RDS_IAM_TRUST',
    patterns: [
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
      {
        message:
          /self-signed certificate|unable to get (local )?issuer certificate|unable to verify the first certificate/,
      },
    ],
    check: checkAuthority,
  },
  {
    code: 'RDS_IAM_TRUST',
    patterns: [{ message: /unsupported protocol|alert protocol version/ }],
    check:
      'The server speaks TLS only in versions older than 1.2. Upgrade the engine, or allow newer ones in the parameter group of the ' +
      'database: `ssl_max_protocol_version`, or `tls_version`.',
  },
  {
    code: 'RDS_IAM_TRUST',
    patterns: [
      { message: /does not support SSL|error establishing an SSL connection|SSL routines|ssl\/tls alert/i },
    ],
    check:
      'The server does not speak TLS as RDS does. Check that the host and the port are those of the RDS database.',
  },
]

/** What stands in the way on this side. */
export const localFailures: readonly Failure[] = [
  {
    code: 'RDS_IAM_UNREACHABLE',
    // https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 1,024 file descriptors
    patterns: [{ codes: ['EMFILE', 'ENFILE'] }, { message: /\b(EMFILE|ENFILE)\b|too many open files/i }],
    check:
      'This process has as many files and connections open as it may; Lambda allows 1,024. Look for what it opens and does not close, ' +
      'connections of HTTP clients for example.',
  },
  {
    code: 'RDS_IAM_CREDENTIALS',
    patterns: [{ message: /signing did not finish/ }],
    check:
      'The server waited for the authentication token. Check that the provider of the credentials, or the `signer`, answers.',
  },
  {
    code: 'RDS_IAM_UNREACHABLE',
    patterns: [{ message: /no time left to connect/ }],
    check: "Nothing was tried. Raise the function's timeout, or look at what took its time before.",
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [{ message: /^the server takes no writes/ }],
    check:
      "A writer is wanted, and the name leads to a reader: after a failover, it leads to the writer shortly. If a reader will do, set `targetSessionAttrs` to 'any'.",
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ message: /timeout exceeded when trying to connect|all connections are in use/i }],
    check:
      'Every connection of this execution environment is in use. Return them to the pool, or raise `max`.',
  },
]

/** What is in the way of a server, in Node's words. */
export const networkFailures: readonly Failure[] = [
  {
    code: 'RDS_IAM_UNREACHABLE',
    patterns: [{ codes: ['ENOTFOUND', 'EAI_FAIL', 'EAI_NODATA'] }],
    check: checkName,
  },
  {
    code: 'RDS_IAM_UNREACHABLE',
    patterns: [{ codes: ['EAI_AGAIN'] }],
    check: checkName,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_UNREACHABLE',
    patterns: [{ codes: ['ECONNREFUSED'] }],
    check: ({ host }) =>
      isHostOfContainer(host)
        ? `Nothing listens there for containers. ${listenForContainers}`
        : 'Nothing listens there. Check the host and the port, and that the database runs.',
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_UNREACHABLE',
    patterns: [
      { codes: ['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'] },
      { message: /timeout expired|due to connection timeout|no connection within/i },
    ],
    check: ({ host }) =>
      isHostOfContainer(host)
        ? `No answer came. Check that the host's firewall admits containers on this port. ${listenForContainers}`
        : "No answer came. Check that the function is in the database's VPC, and that the database's security group admits the " +
          "function's on this port. Outside of the VPC, a VPN or a tunnel has to lead into it.",
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [
      { codes: ['ECONNRESET', 'EPIPE', '08006'] },
      { message: /connection terminated|socket disconnected|socket hang up/i },
    ],
    check: checkServer,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [{ codes: ['EPROTO', '08P01'] }],
    check: checkServer,
  },
]

function checkName({ host }: FailureContext): string {
  if (!isHostOfContainer(host))
    return `The name ${host} cannot be resolved. Check its spelling, and the DNS settings of the VPC.`
  return (
    `The name ${host} cannot be resolved. It is the machine that the container runs on: Docker Desktop knows it by itself, and on ` +
    `Linux \`--add-host ${host}:host-gateway\` of \`sam local invoke\`, or of \`docker run\`, tells it.`
  )
}

function checkAuthority({ endpoint: { host }, region }: FailureContext): string {
  if (host === 'localhost' || isHostOfContainer(host)) {
    return (
      `The certificate of ${host} does not come from an authority that is trusted. Pass the authority of the gateway that ` +
      'runs now as `tls.ca` (on the command line, its file by `--ca-file`): that of an earlier one is of no use any more, and SAM ' +
      'CLI keeps what it read when it started.'
    )
  }
  return (
    `The certificate does not come from an authority of Amazon RDS in ${region} or of Amazon Trust Services. Check that the ` +
    'host is the database; for an authority of your own, pass its PEM text as `tls.ca` (on the command line, its file by ' +
    `\`--ca-file\`), and for a Region whose authorities this package does not carry, the text of ${caBundleOf(region)}.`
  )
}

const listenForContainers =
  "A gateway on Linux has to listen on Docker's bridge: start it with `--host 172.17.0.1`."

/** The names by which a container of Docker or Podman reaches the machine that it runs on. */
function isHostOfContainer(host: string): boolean {
  return host === 'host.docker.internal' || host === 'host.containers.internal'
}
