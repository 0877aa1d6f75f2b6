import {
  encodeInt32,
  encodeMessage,
  encodeText,
  type FirstPacket,
  type Message,
  Refusal,
} from '../wire/postgres-messages.ts'

/** The newest minor version of protocol 3 that a server knows; that of all of them, where it is not known yet. */
function latestMinorOf(serverVersion: number | undefined): number {
  // https://www.postgresql.org/docs/18/protocol.html#PROTOCOL-VERSIONS: 3.2 came with PostgreSQL 18.
  return serverVersion !== undefined && serverVersion >= 18 ? 2 : 0
}

/** What is made of the protocol that a client asks for. */
export interface AgreedProtocol {
  /** NegotiateProtocolVersion, where the client asked for more than there is. */
  readonly answer: Buffer | undefined
  /** The startup packet with the version that was agreed upon. */
  readonly startup: Buffer
}

/**
 * Agrees with the client upon a version of the protocol, as the server behind does.
 *
 * @param parameters Those of the startup packet.
 * @param serverVersion The server's major version, where it is known.
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export function agreeProtocol(
  { code, bytes }: FirstPacket,
  parameters: ReadonlyMap<string, string>,
  serverVersion: number | undefined,
): AgreedProtocol {
  const latest = 0x30000 + latestMinorOf(serverVersion)
  const agreed = Math.min(code, latest)
  // No server has an option of the protocol yet.
  const unknown = [...parameters.keys()].filter(name => name.startsWith('_pq_.'))
  const startup = Buffer.from(bytes)
  startup.writeInt32BE(agreed, 4)
  if (agreed === code && unknown.length === 0) return { answer: undefined, startup }
  const parts = [encodeInt32(agreed), encodeInt32(unknown.length), ...unknown.map(encodeText)]
  return { answer: encodeMessage('v', ...parts), startup }
}

/** @throws {Refusal} Where it is not protocol 3 that a client asks for. */
export function requireProtocol3({ code }: FirstPacket, serverVersion: number | undefined): void {
  const major = code >>> 16
  if (major === 3) return
  const supported = `3.0 to 3.${latestMinorOf(serverVersion)}`
  const message = `unsupported frontend protocol ${major}.${code & 0xffff}: server supports ${supported}`
  throw new Refusal('0A000', message, undefined, major === 1 || major === 2)
}

/** The major version that a server tells at a login, for example `18`; `undefined` where it tells none. */
export function findServerVersion(login: readonly Message[]): number | undefined {
  for (const { type, body } of login) {
    const [name, value = ''] = type === 'S' ? body.toString('utf8').split('\0') : []
    if (name === 'server_version') return Number(/^\d+/.exec(value)?.[0] ?? Number.NaN) || undefined
  }
  return undefined
}
