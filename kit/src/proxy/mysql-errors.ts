import { MalformedPacket, MysqlRefusal } from '../wire/mysql-packets.ts'
import { ServerError } from './dial.ts'

/**
 * The numbers of errors that the explanations know by name.
 *
 * @see https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 */
const names: Readonly<Record<number, string>> = {
  1037: 'ER_OUTOFMEMORY',
  1038: 'ER_OUT_OF_SORTMEMORY',
  1040: 'ER_CON_COUNT_ERROR',
  1041: 'ER_OUT_OF_RESOURCES',
  1044: 'ER_DBACCESS_DENIED_ERROR',
  1045: 'ER_ACCESS_DENIED_ERROR',
  1049: 'ER_BAD_DB_ERROR',
  1053: 'ER_SERVER_SHUTDOWN',
  1129: 'ER_HOST_IS_BLOCKED',
  1130: 'ER_HOST_NOT_PRIVILEGED',
  1135: 'ER_CANT_CREATE_THREAD',
  1158: 'ER_NET_READ_ERROR',
  1159: 'ER_NET_READ_INTERRUPTED',
  1160: 'ER_NET_ERROR_ON_WRITE',
  1161: 'ER_NET_WRITE_INTERRUPTED',
  1203: 'ER_TOO_MANY_USER_CONNECTIONS',
  1226: 'ER_USER_LIMIT_REACHED',
  1251: 'ER_NOT_SUPPORTED_AUTH_MODE',
  1524: 'ER_PLUGIN_IS_NOT_LOADED',
  1698: 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  1820: 'ER_MUST_CHANGE_PASSWORD',
  1862: 'ER_MUST_CHANGE_PASSWORD_LOGIN',
  3032: 'ER_SERVER_OFFLINE_MODE',
  3159: 'ER_SECURE_TRANSPORT_REQUIRED',
  3160: 'ER_NO_SECURE_TRANSPORTS_CONFIGURED',
  3169: 'ER_SESSION_WAS_KILLED',
  4031: 'ER_CLIENT_INTERACTION_TIMEOUT',
}

/** An error of the server's, as the explanations know it, with what it was as its cause. */
export function serverErrorOf(refusal: MysqlRefusal): ServerError {
  const { errno, message } = refusal
  // Any other one is a server's all the same.
  const error = new ServerError(names[errno] ?? `ER_${errno}`, message)
  error.cause = refusal
  return error
}

/** What is no packet of a login, in the words of the explanations. */
export function explainPacket(error: unknown): unknown {
  return error instanceof MalformedPacket
    ? Object.assign(new Error(error.message, { cause: error }), { code: 'PROTOCOL_ERROR' })
    : error
}

// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html#error_er_unknown_error
const unknownError = { errno: 1105, sqlState: 'HY000' } as const

/** What a client is told where there is no session: the server's own number, where it has refused one. */
export function refusalOf({ message, cause }: Error): MysqlRefusal {
  const own = cause instanceof ServerError && cause.cause instanceof MysqlRefusal ? cause.cause : unknownError
  return new MysqlRefusal(own.errno, own.sqlState, message)
}
