import fc from 'fast-check'
import type { Gateway } from '../../src/index.ts'
import { packets as mysqlPackets, openMysqlTls, openMysqlWire, tryMysql } from './mysql-support.ts'
import {
  makeClient,
  openNegotiatedTls,
  openWire,
  packets as postgresPackets,
  type Scope,
  tryConnect,
  type Wire,
} from './support.ts'

export type Stage = 'before TLS' | 'after TLS'
export const stages: readonly Stage[] = ['before TLS', 'after TLS']

/** What the tests need to know of a protocol. */
export interface Protocol {
  readonly engine: 'postgres' | 'mysql'
  /** Each opens a connection up to where it waits for the client's bytes. */
  readonly open: Readonly<Record<Stage, (scope: Scope, gateway: Gateway) => Promise<Wire>>>
  /** What is right somewhere, but for a valid token. */
  readonly packets: readonly Buffer[]
  /** The beginnings of handshakes; the last one of each stage is of a packet that has far more bytes to come. */
  readonly beginnings: Readonly<Record<Stage, readonly Buffer[]>>
  /** Sees a session through, and gives the error where there is none. */
  readonly connect: (gateway: Gateway) => Promise<Error | undefined>
  /** Whether the server may be told that without a token. */
  readonly isHarmless: (bytes: Buffer) => boolean
}

export const nothing = Buffer.alloc(0)
const clientHello = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])
const http = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
/** Announces more than anybody should wait for, in both protocols. */
const oversized = Buffer.from([0x70, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0])

export const postgresProtocol: Protocol = {
  engine: 'postgres',
  open: { 'before TLS': (scope, { port }) => openWire(scope, port), 'after TLS': openNegotiatedTls },
  packets: [
    postgresPackets.sslRequest,
    postgresPackets.gssRequest,
    postgresPackets.startup(),
    postgresPackets.password('no token'),
    postgresPackets.query('select 1'),
    postgresPackets.cancel(1, 2),
    postgresPackets.terminate,
    Buffer.concat([postgresPackets.startup(), postgresPackets.password('no token')]),
  ],
  beginnings: {
    'before TLS': [
      nothing,
      postgresPackets.sslRequest.subarray(0, 5),
      postgresPackets.sslRequest,
      clientHello,
      Buffer.from([0, 0, 0x27, 0x10]),
    ],
    'after TLS': [
      nothing,
      postgresPackets.startup().subarray(0, 20),
      Buffer.concat([postgresPackets.startup(), Buffer.from([0x70, 0, 0, 0xff, 0xff]), Buffer.alloc(30_000)]),
    ],
  },
  connect: gateway => tryConnect(makeClient(gateway)),
  // Its code and its key are all that a request to cancel a query has; PostgreSQL asks for no more either.
  isHarmless: bytes => bytes.length >= 8 && bytes.readInt32BE(4) === 80877102,
}

export const mysqlProtocol: Protocol = {
  engine: 'mysql',
  open: {
    'before TLS': async (scope, gateway) => {
      const wire = await openMysqlWire(scope, gateway)
      await wire.takePacket()
      return wire
    },
    'after TLS': openMysqlTls,
  },
  packets: [
    mysqlPackets.sslRequest(),
    mysqlPackets.response(),
    mysqlPackets.response({ user: '' }),
    mysqlPackets.token('no token'),
    mysqlPackets.changeUser('app'),
    mysqlPackets.query('select 1'),
    Buffer.concat([mysqlPackets.response(), mysqlPackets.token('no token')]),
  ],
  beginnings: {
    'before TLS': [
      nothing,
      mysqlPackets.sslRequest().subarray(0, 9),
      mysqlPackets.sslRequest(),
      Buffer.concat([mysqlPackets.sslRequest(), clientHello]),
      Buffer.from([0xff, 0xff, 1, 1]),
    ],
    'after TLS': [
      nothing,
      mysqlPackets.response().subarray(0, 20),
      Buffer.concat([mysqlPackets.response(), Buffer.from([0xff, 0xff, 1, 4]), Buffer.alloc(30_000)]),
    ],
  },
  connect: tryMysql,
  isHarmless: () => false,
}

/** Random bytes; right packets in the wrong places, cut, glued, with bytes changed; other protocols. */
export function hostileBytes({ packets }: Protocol): fc.Arbitrary<Buffer> {
  const random = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes))
  const piece = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...packets, oversized, http, clientHello) },
    { weight: 1, arbitrary: random },
  )
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 })
  const nearly = fc
    .tuple(fc.array(piece, { minLength: 1, maxLength: 4 }), changes, fc.nat({ max: 20 }))
    .map(([pieces, changes, cut]) => {
      const bytes = Buffer.concat(pieces)
      for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte
      return bytes.subarray(0, bytes.length - Math.max(cut - 10, 0))
    })
  return fc.oneof({ weight: 1, arbitrary: random }, { weight: 2, arbitrary: nearly })
}
