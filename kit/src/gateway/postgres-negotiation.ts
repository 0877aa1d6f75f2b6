import { TLSSocket } from 'node:tls'
import { PeerGone, readExactly } from '../wire/bytes.ts'
import { type FirstPacket, Refusal, readFirstPacket, requestCodes } from '../wire/postgres-messages.ts'
import type { Attempt } from './gate.ts'
import { describeClient, type Handshake, type Site, startTls } from './handshake.ts'

/** What a connection begins with, until the packet that is not about encryption. */
export interface Beginning {
  readonly packet: FirstPacket
  /** The client began with TLS at once, without a request for it. */
  readonly isDirect: boolean
}

/** The first byte of a TLS handshake, and of no packet: that one would be hundreds of megabytes long. */
const tlsHandshake = 0x16
const alpnProtocols = ['postgresql']
/**
 * What PostgreSQL has since version 17: direct TLS, ALPN, and that bytes behind a request for TLS are TLS already.
 *
 * @see https://www.postgresql.org/docs/release/17.0/
 */
const earlyTlsSince = 17

const lacksEarlyTls = ({ serverVersion }: Site): boolean =>
  serverVersion !== undefined && serverVersion < earlyTlsSince

/**
 * Refuses a client that began with TLS at once, where the server behind is known to be too old for it.
 *
 * @throws {PeerGone} As such a server does, which takes the first bytes for a packet of impossible length.
 */
export function refuseDirectTls(site: Site, attempt: Attempt): void {
  if (!lacksEarlyTls(site)) return
  const detail =
    `the client began with TLS at once, which PostgreSQL ${site.serverVersion} behind the gateway does not know; ` +
    `that takes version ${earlyTlsSince}, or a client without "sslnegotiation=direct"`
  site.gate.record(attempt, { reason: 'DirectTls', detail })
  throw new PeerGone('direct TLS')
}

/**
 * Comes to the first packet that is not about encryption, as `ProcessSSLStartup` and `ProcessStartupPacket` of
 * PostgreSQL do: as the version that stands behind, or as a new one where that is not known yet.
 *
 * @throws {Refusal} Where PostgreSQL says what is wrong.
 * @throws {PeerGone} Where it closes the connection without a word.
 * @see https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/tcop/backend_startup.c
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL
 */
export async function negotiate(handshake: Handshake): Promise<Beginning> {
  const isDirect = await startDirectly(handshake)
  let sslOpen = true
  let gssOpen = true
  for (;;) {
    const packet = await readFirstPacket(handshake.stream)
    if (packet.code === requestCodes.ssl && sslOpen) {
      sslOpen = false
      gssOpen &&= handshake.stream instanceof TLSSocket
      await answerSslRequest(handshake)
    } else if (packet.code === requestCodes.gssEncryption && gssOpen) {
      gssOpen = false
      handshake.stream.write('N')
      refuseUnencrypted(handshake.stream.readableLength, 'GSSAPI encryption request')
    } else {
      return { packet, isDirect }
    }
  }
}

/** Goes on over TLS where the client begins with it. */
async function startDirectly(handshake: Handshake): Promise<boolean> {
  const first = await readExactly(handshake.stream, 1)
  handshake.stream.unshift(first)
  if (first[0] !== tlsHandshake) return false
  refuseDirectTls(handshake.site, { ...describeClient(handshake.stream), user: '', database: '' })
  const stream = await startTls(handshake, alpnProtocols)
  // It must come with ALPN, so that nobody can be talked into it in another protocol.
  if (stream.alpnProtocol !== alpnProtocols[0]) throw new PeerGone('direct TLS without ALPN')
  return true
}

async function answerSslRequest(handshake: Handshake): Promise<void> {
  const { site, stream } = handshake
  if (stream instanceof TLSSocket) {
    stream.write('N')
    refuseUnencrypted(stream.readableLength, 'SSL request')
    return
  }
  stream.write('S')
  // Nothing that came in plaintext may be taken for something that came over TLS (CVE-2021-23214): what came with
  // the request is TLS, or else, before version 17, in the way.
  if (!lacksEarlyTls(site)) {
    await startTls(handshake, alpnProtocols)
    return
  }
  const early: Buffer | null = stream.read()
  await startTls(handshake)
  refuseUnencrypted(early?.length ?? 0, 'SSL request')
}

function refuseUnencrypted(length: number, request: string): void {
  if (length === 0) return
  throw new Refusal(
    '08P01',
    `received unencrypted data after ${request}`,
    'This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.',
  )
}
