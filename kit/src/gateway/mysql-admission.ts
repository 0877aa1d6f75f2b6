import type { Socket } from 'node:net'
import { type Dialogue, hear, say } from '../wire/mysql-dialogue.ts'
import { makeSalt } from '../wire/mysql-greeting.ts'
import type { Login } from '../wire/mysql-login.ts'
import { encodeText, MysqlRefusal } from '../wire/mysql-packets.ts'
import type { Attempt, Gate, Judgement } from './gate.ts'
import type { UpstreamAnswer } from './mysql-upstream.ts'
import { quote } from './token-text.ts'
import { UpstreamRefusal } from './upstream.ts'

/**
 * Asks the client for its token, and judges it. A user who is none for IAM is not asked for one, but for a
 * password, as on RDS: the token does not leave the client.
 *
 * @param serverVersion As the upstream greets.
 * @throws {MysqlRefusal} Where it is refused, which is in the decision log then.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_clear_text_password.html
 */
export async function admit(
  dialogue: Dialogue,
  gate: Gate,
  attempt: Attempt,
  { guess }: Login,
  serverVersion: Buffer,
): Promise<Judgement> {
  const denied = (using: 'YES' | 'NO') => {
    const who = `'${attempt.user}'@'${hostOf(dialogue.stream)}'`
    return new MysqlRefusal(1045, '28000', `Access denied for user ${who} (using password: ${using})`)
  }
  // Without a name, the server would take it for whoever may come from the gateway's address.
  if (attempt.user === '') throw denied('NO')
  const stranger = judgeName(attempt.user, serverVersion) ?? gate.judgeUser(attempt.user)
  if (stranger !== undefined) {
    gate.record(attempt, stranger)
    const answer = passwordPlugins.includes(guess.plugin) ? guess.answer : await askForPassword(dialogue)
    throw denied(answer.length > 0 ? 'YES' : 'NO')
  }
  say(dialogue, Buffer.from([0xfe]), encodeText('mysql_clear_password'))
  const answer = await hear(dialogue)
  const judgement = judge(gate, attempt, answer)
  if (judgement.reason === undefined) return judgement
  gate.record(attempt, judgement)
  throw denied(answer.length > 1 ? 'YES' : 'NO')
}

/**
 * Refuses a name that the server would change, and so log in somebody else: it cuts off what is
 * longer than a name can be, and takes away quotes around it.
 *
 * @see https://dev.mysql.com/doc/refman/8.4/en/user-names.html 32 characters, and 16 before MySQL 5.7.8
 * @see https://github.com/MariaDB/server/blob/main/sql/sql_acl.cc parse_client_handshake_packet(); a name has
 * `username_char_length` characters, 128
 */
function judgeName(user: string, serverVersion: Buffer): Judgement | undefined {
  const version = serverVersion.toString('latin1')
  const longest = version.includes('MariaDB') ? 128 : /^5\.[0-6]\./.test(version) ? 16 : 32
  if ([...user].length <= longest && !/^'.*'$/s.test(user)) return undefined
  const detail = `no user of ${quote(version)} has the name ${quote(user)}, which the server would change`
  return { reason: 'NotIamUser', detail }
}

/** The plugins whose first answer to a salt shows nothing of the password, nor of a token in its place. */
const passwordPlugins = ['mysql_native_password', 'caching_sha2_password']

/**
 * What the client answers by a plugin for passwords; it is told which one is wanted where it took another.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_switch_request.html
 */
function askForPassword(dialogue: Dialogue): Promise<Buffer> {
  say(dialogue, Buffer.from([0xfe]), encodeText('mysql_native_password'), encodeText(makeSalt()))
  return hear(dialogue)
}

function judge(gate: Gate, attempt: Attempt, answer: Buffer): Judgement {
  const end = answer.indexOf(0)
  if (end >= 0 && end === answer.length - 1) return gate.judge(attempt, answer.toString('utf8', 0, end))
  return { reason: 'InvalidToken', detail: 'what was sent does not end with a NUL byte, its first one' }
}

/**
 * Logs in at the upstream, and puts into the decision log what came of it.
 *
 * @throws {MysqlRefusal} Where the upstream gave no answer.
 */
export async function enter(
  gate: Gate,
  attempt: Attempt,
  judgement: Judgement,
  logIn: () => Promise<UpstreamAnswer>,
): Promise<UpstreamAnswer> {
  const refused = ({ errno, sqlState, message }: MysqlRefusal): void => {
    const detail = `${judgement.detail}; the upstream then refused the session: ${errno} ${sqlState} ${quote(message)}`
    gate.record(attempt, { ...judgement, detail })
  }
  try {
    const answer = await logIn()
    if (answer.error === undefined) gate.record(attempt, judgement)
    else refused(answer.error)
    return answer
  } catch (error) {
    if (error instanceof MysqlRefusal) {
      refused(error)
      throw error
    }
    const reason = error instanceof Error ? error.message : 'unknown'
    gate.record(attempt, {
      ...judgement,
      reason: 'InternalError',
      detail: `${judgement.detail}; no session: ${reason}`,
    })
    // ER_CONNECT_TO_FOREIGN_DATA_SOURCE, what servers say of a server behind them. It does not pass by
    // itself, as 1053 does.
    if (error instanceof UpstreamRefusal) throw new MysqlRefusal(1429, 'HY000', reason)
    // What a server says that is going away; one that is not there yet says nothing.
    throw new MysqlRefusal(1053, '08S01', 'Server shutdown in progress')
  }
}

/** The address of a client without its port, as a server that looks up no names has it. */
function hostOf(stream: Socket): string {
  return (stream.remoteAddress ?? 'unknown').replace(/^::ffff:/, '')
}
