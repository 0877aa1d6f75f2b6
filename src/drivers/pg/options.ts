import { Socket } from 'node:net'
import type { Access } from '../../access/access.ts'
import { RdsIamError } from '../../errors/rds-iam-error.ts'
import { isIpAddress } from '../../identifiers/endpoint.ts'
import type { Settings } from '../../options/settings.ts'
import { type PlainTls, plainTls } from '../../trust/plain-tls.ts'
import { requireIdentity } from '../../trust/verified-tls.ts'
import { forgetPassword, isClient, protocolOf, streamOf } from './internals.ts'

/** What pg, or a library above it, makes a client of that reaches the verified endpoint with a token. */
export interface DriverOptions {
  /** The name that is dialled; that of the endpoint where {@link stream} dials another one. */
  readonly host: string
  /** The port that is dialled. */
  readonly port: number
  /** The database user. */
  readonly user: string
  /** The database's name. */
  readonly database: string
  /** Data and one function, so that it can be cloned. */
  readonly ssl: PlainTls
  /** pg calls it as a method of the client, when the server asks. */
  readonly password: () => Promise<string>
  /**
   * Dials another name of the endpoint: pg asks TLS for the name that stands in `host`.
   *
   * @default none: pg dials `host`
   */
  readonly stream?: () => Socket
}

/** Options for clients that this package does not make. None of them holds a token. */
export function driverOptions(
  access: Access,
  { host, port, user, database }: Pick<Settings, 'host' | 'port' | 'user' | 'database'>,
): DriverOptions {
  const { endpoint } = access.target
  // pg asks for no name of an IP address, and then for that in `ssl`.
  const isOtherName = host !== endpoint.host && !isIpAddress(host)
  return {
    host: isOtherName ? endpoint.host : host,
    port,
    user,
    database,
    ssl: plainTls(access.trust.tls),
    password: createPassword(access),
    ...(isOtherName ? { stream: () => createSocketTo(host) } : {}),
  }
}

/** A socket that dials one host, whichever it is told to, at the port that it is told. */
function createSocketTo(host: string): Socket {
  const socket = new Socket()
  const dial = socket.connect.bind(socket) as (port: number, host: string) => Socket
  socket.connect = ((port: number) => dial(port, host)) as Socket['connect']
  return socket
}

/** A password function for any client of pg, which gives the token to the verified endpoint alone. */
function createPassword({ target, tokens, trust, findFailure }: Access): (this: unknown) => Promise<string> {
  return async function password(this: unknown): Promise<string> {
    if (!isClient(this)) throw notAsked()
    try {
      requireIdentity(streamOf(this), target.endpoint, trust.tls.ca)
      const cached = await tokens.get()
      protocolOf(this).once('errorMessage', (message: Error) => {
        if (findFailure(message, 'sent')?.code === 'RDS_IAM_ACCESS_DENIED') tokens.refuse(cached)
      })
      // pg sends it as soon as it has it, and would keep it until the server has answered.
      setImmediate(() => forgetPassword(this))
      return cached.token.value
    } catch (error) {
      // pg tells of the error, and would leave the socket open.
      streamOf(this).destroy()
      throw error
    }
  }
}

function notAsked(): RdsIamError {
  return new RdsIamError(
    'RDS_IAM_TRUST',
    'The authentication token was asked for outside a client of `pg`, where nobody can see which server it would be sent to; it was not given.',
    {
      remedy:
        'Pass `password` on to `pg` as the function that it is. For another driver, use `createTokenSource` together with `trustedTls`.',
    },
  )
}
