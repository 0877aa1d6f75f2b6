import { Duplex } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import { message, openNegotiatedTls, openTls, openWire, packets, type Scope } from './support.ts'

/** A server, or a gateway in front of it. */
export interface Address {
  readonly port: number
  readonly ca: string
}

/** Something that a client does; what it gets for it is given. */
export type Conduct = (t: Scope, address: Address) => Promise<Buffer>

const plainly =
  (...bytes: Buffer[]): Conduct =>
  async (t, { port }) => {
    const wire = await openWire(t, port)
    wire.socket.end(Buffer.concat(bytes))
    return wire.rest()
  }

const overTls =
  (...bytes: Buffer[]): Conduct =>
  async (t, address) => {
    const wire = await openNegotiatedTls(t, address)
    wire.socket.end(Buffer.concat(bytes))
    return wire.rest()
  }

/** Answers the request for a password, once that is there. */
const onRequest =
  (bytes: Buffer): Conduct =>
  async (t, address) => {
    const wire = await openNegotiatedTls(t, address)
    wire.socket.write(ask)
    const request = await wire.take(9)
    wire.socket.end(bytes)
    return Buffer.concat([request, await wire.rest()])
  }

const directly =
  (...bytes: Buffer[]): Conduct =>
  async (t, address) => {
    const wire = await openTls(t, { ...address, ALPNProtocols: ['postgresql'] })
    wire.socket.end(Buffer.concat(bytes))
    return wire.rest()
  }

/** Does its TLS handshake beside bytes that came with the request for it, in plaintext. */
const besideGarbage: Conduct = async (t, { port, ca }) => {
  const plain = await openWire(t, port)
  plain.socket.write(Buffer.concat([packets.sslRequest, packets.startup()]))
  await plain.take(1)
  plain.socket.removeAllListeners('data')
  return (await openTls(t, { socket: plain.socket, ca })).rest()
}

/** Asks for TLS, and in it for another protocol; what comes of that is told. */
const otherAlpn: Conduct = async (t, { port, ca }) => {
  const plain = await openWire(t, port)
  plain.socket.write(packets.sslRequest)
  await plain.take(1)
  plain.socket.removeAllListeners('data')
  try {
    const wire = await openTls(t, { socket: plain.socket, ca, ALPNProtocols: ['h2'] })
    wire.socket.end()
    await wire.rest()
    return Buffer.from(String(wire.socket.alpnProtocol))
  } catch (error) {
    return Buffer.from(String((error as NodeJS.ErrnoException).code))
  }
}

/** Sends the first bytes of TLS in one piece with the request for it. */
const gluedTls: Conduct = async (t, { port, ca }) => {
  const plain = await openWire(t, port)
  plain.socket.removeAllListeners('data')
  let glue: Buffer | undefined = packets.sslRequest
  let answered = false
  const under = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      plain.socket.write(glue === undefined ? chunk : Buffer.concat([glue, chunk]), done)
      glue = undefined
    },
    final: done => void plain.socket.end(done),
  })
  plain.socket
    .on('data', chunk => {
      under.push(answered ? chunk : chunk.subarray(1))
      answered = true
    })
    .on('end', () => under.push(null))
  const wire = await openTls(t, { socket: under, ca } as unknown as ConnectionOptions)
  wire.socket.end(packets.startup())
  return wire.rest()
}

const startup = (parameters: string, length?: number): Buffer => {
  const bytes = Buffer.from(`\0\0\0\0\0\u0003\0\0${parameters}`)
  bytes.writeInt32BE(length ?? bytes.length)
  return bytes
}
const hello = Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8])
const ask = packets.startup()

/** What PostgreSQL does alike in all versions. */
export const always: Readonly<Record<string, Conduct>> = {
  nothing: plainly(),
  'half a packet': plainly(ask.subarray(0, 12)),
  'a packet of no length': plainly(Buffer.alloc(64)),
  'a packet shorter than its head': plainly(startup('', 7)),
  'a packet of negative length': plainly(Buffer.alloc(64, 0xff)),
  'a packet as long as it may be': plainly(startup(`user\0${'x'.repeat(9_991)}`)),
  'a packet a byte longer': plainly(startup(`user\0${'x'.repeat(9_992)}`, 10_005)),
  'a request of HTTP': plainly(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')),
  'a request to cancel without a key': plainly(Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2e])),
  'a request to cancel with a wrong key': plainly(packets.cancel(1, 2)),
  'a startup without TLS': plainly(ask),
  'a startup without a user': plainly(packets.startup({ database: 'orders' })),
  'a startup without parameters': plainly(startup('')),
  'a startup without its terminator': plainly(startup('user\0app\0')),
  'a parameter without a value': plainly(startup('user\0')),
  'bytes behind the last parameter': plainly(startup('user\0app\0\0abc')),
  'protocol 0': plainly(packets.startup({ user: 'app' }, 0)),
  'protocol 1.0': plainly(packets.startup({ user: 'app' }, 0x10000)),
  'protocol 2.0': plainly(packets.startup({ user: 'app' }, 0x20000)),
  'protocol 4.0': plainly(packets.startup({ user: 'app' }, 0x40000)),
  'a code that nobody knows': plainly(packets.startup({ user: 'app' }, 80877101)),
  'TLS asked for, and a startup in plaintext with it': plainly(packets.sslRequest, ask),
  'TLS asked for, and no more': plainly(packets.sslRequest),
  'TLS asked for, and another protocol in it': otherAlpn,
  'TLS asked for in TLS': overTls(packets.sslRequest),
  'GSSAPI asked for in TLS': overTls(packets.gssRequest),
  'a startup in TLS': overTls(ask),
  'a startup of protocol 3.1': overTls(packets.startup({ user: 'app' }, 0x30001)),
  'a startup of protocol 3.2': overTls(packets.startup({ user: 'app' }, 0x30002)),
  'a startup of a protocol to come': overTls(
    packets.startup({ user: 'app', '_pq_.a': '1', '_pq_.b': '2' }, 0x3270f),
  ),
  'a startup of protocol 3.0 with an option of it': overTls(packets.startup({ user: 'app', '_pq_.a': '1' })),
  'a query in place of the password': onRequest(packets.query('select 1')),
  'an empty password': onRequest(packets.password('')),
  'a password without its terminator': onRequest(message('p', Buffer.from('secret'))),
  'a password without a byte': onRequest(message('p', Buffer.alloc(0))),
  'a password with a NUL in it': onRequest(packets.password('a\0b')),
  'a password that is too long': onRequest(packets.password('x'.repeat(65_531))),
  'a password of negative length': onRequest(Buffer.from([0x70, 255, 255, 255, 255, 1, 2, 3])),
  'a password of impossible length': onRequest(Buffer.from([0x70, 0, 0, 0, 3, 0, 0, 0])),
  'half a password': onRequest(packets.password('secret').subarray(0, 6)),
}

/** What a server that was built without GSSAPI does, as the gateway is. */
export const withoutGss: Readonly<Record<string, Conduct>> = {
  'GSSAPI asked for': plainly(packets.gssRequest),
  'GSSAPI asked for twice at once': plainly(packets.gssRequest, packets.gssRequest),
  'GSSAPI asked for, and a startup with it': plainly(packets.gssRequest, ask),
}

/** What only 17 and newer take. */
export const since17: Readonly<Record<string, Conduct>> = {
  'TLS at once': directly(ask),
  'TLS at once, and asked for in it': directly(packets.sslRequest),
  'TLS at once, and asked for in it with a startup': directly(packets.sslRequest, ask),
  'TLS at once, and GSSAPI asked for in it': directly(packets.gssRequest),
  'TLS at once without ALPN': async (t, address) => {
    const wire = await openTls(t, { ...address })
    wire.socket.end(ask)
    return wire.rest()
  },
  'TLS asked for, and begun with the request': gluedTls,
}
/** What 16 and older do otherwise. */
export const before17: Readonly<Record<string, Conduct>> = {
  'nonsense in TLS at once': plainly(hello),
  'TLS asked for, beside a startup in plaintext': besideGarbage,
}
