import type { AuthPlugin, Connection as CoreConnection } from 'mysql2'
import { RdsIamError } from '../../errors/rds-iam-error.ts'
import type { Target } from '../../errors/target.ts'
import type { Token } from '../../token/token.ts'
import { requireVerified } from '../../trust/verified-tls.ts'
import { streamOf } from './internals.ts'

/** Gives the token that a connection is to authenticate with. */
export type TokenFor = (connection: CoreConnection) => Promise<Token>

/** What mysql2 gives a plugin; its types say that the command is a text. */
interface Metadata {
  readonly connection: CoreConnection
  /** Logs in, or changes the user. */
  readonly command: { readonly user?: string | undefined }
}

/** What mysql2 has plugins of its own for, other than sending the token. None of them may answer. */
const passwordPlugins = ['mysql_native_password', 'caching_sha2_password', 'sha256_password']

/**
 * Plugins that give the token to the verified endpoint that asks for it in clear text, and to no other
 * server.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_clear_text_password.html
 */
export function createAuthPlugins(
  { endpoint, user }: Pick<Target, 'endpoint' | 'user'>,
  tokenFor: TokenFor,
): Record<string, AuthPlugin> {
  const answer = async ({ connection, command }: Metadata): Promise<Buffer | null> => {
    const stream = streamOf(connection)
    try {
      requireVerified(stream, endpoint)
      if (command.user !== user) throw otherUser(command.user, user)
      const { value } = await tokenFor(connection)
      return Buffer.from(`${value}\0`)
    } catch (error) {
      // mysql2 gives an error of a plugin a code of its own, and the process ends by one that changes the
      // user.
      const { message } = error as Error
      stream.destroy(new Error(message, { cause: error }))
      return null
    }
  }

  const refuse = (name: string, { connection }: Metadata): null => {
    streamOf(connection).destroy(new Error(`The server asked for a password by ${name}, not for a token`))
    return null
  }

  const plugins: Record<string, (metadata: Metadata) => () => unknown> = {
    mysql_clear_password: metadata => () => answer(metadata),
  }
  for (const name of passwordPlugins) plugins[name] = metadata => () => refuse(name, metadata)
  return plugins as unknown as Record<string, AuthPlugin>
}

function otherUser(asked: string | undefined, user: string): RdsIamError {
  return new RdsIamError(
    'RDS_IAM_OPTIONS',
    `The token is signed for ${user}, and ${asked} cannot authenticate with it. Use a middleware of its own for each user.`,
  )
}
