import { timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import { capability, offerCapabilities } from '../wire/mysql-capabilities.ts'
import { findCommand, joinCommands } from '../wire/mysql-commands.ts'
import { type Dialogue, hear, readFrom, say } from '../wire/mysql-dialogue.ts'
import { encodeGreeting, makeSalt, standInGreeting } from '../wire/mysql-greeting.ts'
import {
  type HandshakeResponse,
  isSslRequest,
  parseChangeUser,
  parseHandshakeResponse,
} from '../wire/mysql-login.ts'
import { encodeError, encodePacket, encodeText, MysqlRefusal } from '../wire/mysql-packets.ts'
import { type ScramblePlugin, scramble } from '../wire/mysql-scrambles.ts'
import type { Greetings } from './greetings.ts'
import { refusalOf } from './mysql-errors.ts'
import { changeUser, logIn, type MysqlSession } from './mysql-login.ts'
import { beginVisit, finish, type Site, tellFailure, tellRefusal, tellSession, type Visit } from './site.ts'
import { isChangeUser, type Threads, tellingBytes } from './threads.ts'

/** What the clients of MySQL share. */
export interface MysqlParts {
  readonly site: Site
  readonly greetings: Greetings
  readonly threads: Threads
}

/**
 * Serves a client that speaks MySQL's protocol: its password, a login at the database, then everything both
 * ways.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
 */
export async function serveMysql(socket: Socket, parts: MysqlParts): Promise<void> {
  const visit = beginVisit(socket, parts.site)
  const dialogue: Dialogue = { stream: socket, sequence: 0 }
  try {
    await openSession(visit, dialogue, parts)
  } catch (error) {
    visit.untie()
    if (error instanceof MysqlRefusal) {
      tellRefusal(visit, error.message)
      finish(socket, encodePacket(dialogue.sequence, encodeError(error)))
    } else {
      socket.destroy()
    }
  }
}

async function openSession(visit: Visit, dialogue: Dialogue, parts: MysqlParts): Promise<void> {
  const { socket, site } = visit
  const { greetings, threads } = parts
  const known = await greetings.get()
  const greeting = known ?? standInGreeting
  const offered = (offerCapabilities(greeting.capabilities) & ~capability.ssl) >>> 0
  const threadId = threads.next()
  say(dialogue, encodeGreeting({ ...greeting, threadId, plugin: oldPlugin }, offered, makeSalt()))
  const response = await takeResponse(dialogue)
  const plugin = response.guess.plugin === newPlugin ? newPlugin : oldPlugin
  visit.user = response.user
  visit.database = response.database.toString('utf8')
  requireUser(visit)
  await askPassword(visit, dialogue, plugin)
  visit.admitted()

  let session: MysqlSession
  try {
    session = await site.source.open({
      database: visit.database,
      attempt: attempt => logIn(attempt, response, visit.tie),
      discard: late => late.socket.destroy(),
    })
  } catch (error) {
    visit.untie()
    const refusal = refusalOf(tellFailure(visit, error))
    finish(socket, encodePacket(dialogue.sequence, encodeError(refusal)))
    return
  }
  greetings.keep(session.greeting)
  // What the client and the server think of each other must be the same.
  const missing = response.capabilities & offered & ~offerCapabilities(session.greeting.capabilities)
  if (known === undefined || missing !== 0) {
    session.socket.destroy()
    throw new MysqlRefusal(
      1053,
      '08S01',
      'The database was not reached when this client was greeted, or is another one by now: connect again',
    )
  }
  visit.untie()
  socket.once('close', threads.add(threadId, session.greeting.threadId))
  tellSession(visit)
  say(dialogue, session.answer)
  const { user } = visit
  const find = findCommand(
    tellingBytes(user),
    first => isChangeUser(first, user) || threads.translate(first) !== undefined,
  )
  joinCommands(socket, session.socket, find, () => takeCommand(visit, session, parts, plugin))
}

/** What the client says of itself. */
async function takeResponse(dialogue: Dialogue): Promise<HandshakeResponse> {
  const body = await hear(dialogue)
  if (isSslRequest(body))
    throw new MysqlRefusal(
      2026,
      'HY000',
      'This port of rds-iam proxy is on this machine alone and has no TLS: turn TLS off in the client',
    )
  return readFrom(() => parseHandshakeResponse(body))
}

function requireUser({ user, site }: Visit): void {
  const { target } = site.source
  if (user === target.user) return
  const message = `This port of rds-iam proxy logs in as '${target.user}'; connect with this user, not as '${user}'`
  throw new MysqlRefusal(1045, '28000', message)
}

/** What every client has but the newest of MySQL, and what those have. */
const oldPlugin = 'mysql_native_password'
const newPlugin = 'caching_sha2_password'
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
const fastAuthenticationSucceeded = Buffer.from([0x01, 0x03])

/** @throws {MysqlRefusal} Where the password is wrong. */
async function askPassword({ site, user }: Visit, dialogue: Dialogue, plugin: ScramblePlugin): Promise<void> {
  const { password } = site
  if (password === undefined) return
  const salt = makeSalt()
  say(dialogue, Buffer.from([0xfe]), encodeText(plugin), encodeText(salt))
  const answer = await hear(dialogue)
  const expected = scramble(plugin, password, salt)
  if (answer.length !== expected.length || !timingSafeEqual(answer, expected)) {
    const using = answer.length > 1 ? 'YES' : 'NO'
    throw new MysqlRefusal(
      1045,
      '28000',
      `Access denied for user '${user}' (using password: ${using}): give the password that this port of rds-iam proxy was started with`,
    )
  }
  if (plugin === newPlugin) say(dialogue, fastAuthenticationSucceeded)
}

/** A command that is not passed on as it is: of another number of a thread, or the same user afresh. */
async function takeCommand(visit: Visit, session: MysqlSession, parts: MysqlParts, plugin: ScramblePlugin) {
  const { socket } = visit
  const dialogue: Dialogue = { stream: socket, sequence: 0 }
  try {
    const command = await hear(dialogue)
    const translated = parts.threads.translate(command)
    if (translated !== undefined) {
      session.socket.write(encodePacket(0, translated))
      return
    }
    const login = await readFrom(() => parseChangeUser(command))
    await askPassword(visit, dialogue, plugin)
    say(dialogue, await changeUser(session, login))
  } catch (error) {
    const refusal = error instanceof MysqlRefusal ? error : refusalOf(tellFailure(visit, error))
    if (error === refusal) tellRefusal(visit, refusal.message)
    finish(socket, encodePacket(dialogue.sequence, encodeError(refusal)))
    // In order: what breaks at the database breaks the client, which is still to be told.
    session.socket.end().resume()
    throw error
  }
}
