import type { Client } from 'pg'
import type { Endpoint } from '../../identifiers/endpoint.ts'
import { requireVerified } from '../../trust/verified-tls.ts'
import type { ConnectRequest } from '../driver.ts'
import { forgetPassword, protocolOf, streamOf } from './internals.ts'

/** How a client authenticates. */
export interface TokenAuth {
  /** Answers the server's request for a password. It does not reject: pg would leave the socket open. */
  answer(): Promise<string>
  /** What keeps a connected server from being the verified one, also where it asked for no password. */
  findWeakness(): Error | undefined
}

/** Gives the token to the verified endpoint that asks for it in clear text, and to no other server. */
export function createTokenAuth(
  client: Client,
  endpoint: Endpoint,
  token: ConnectRequest['token'],
): TokenAuth {
  let asked = 'clear text'
  // https://www.postgresql.org/docs/current/protocol-message-formats.html: AuthenticationMD5Password,
  // AuthenticationSASL
  protocolOf(client).on('authenticationMD5Password', () => {
    asked = 'MD5'
  })
  protocolOf(client).on('authenticationSASL', () => {
    asked = 'SCRAM'
  })

  return {
    async answer() {
      const stream = streamOf(client)
      try {
        requireVerified(stream, endpoint)
        if (asked !== 'clear text')
          throw new Error(`The server asked for a password by ${asked}, not for a token`)
        const { value } = await token()
        // pg sends it as soon as it has it, and would keep it until the server has answered.
        setImmediate(() => forgetPassword(client))
        return value
      } catch (error) {
        stream.destroy(error as Error)
        return ''
      }
    },
    findWeakness() {
      try {
        requireVerified(streamOf(client), endpoint)
        return undefined
      } catch (error) {
        return error as Error
      }
    },
  }
}
