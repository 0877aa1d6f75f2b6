// What TLS and the network say, which need no database but the beginning of its protocol.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { after, describe, test } from 'node:test'
import { type IssuedCertificate, makeAuthority } from '../../../kit/src/index.ts'
import { mysqlGreeting, startRecordingMysqlServer } from '../../support/recording-mysql-server.ts'
import { startRecordingServer } from '../../support/recording-server.ts'
import { makeSelfSigned, makeWithoutRoot } from '../../support/self-signed.ts'
import { assertFails, type Options } from './connecting.ts'
import { type EngineName, knownFailures, saidByAnyServer } from './known.ts'

const days = (count: number) => new Date(Date.now() + count * 86_400_000)
/** The endpoint that these servers are reached for: of one on this machine, the words are others. */
const host = 'orders.example.com'
const names = [host]
const [authority, stranger] = await Promise.all([makeAuthority('trusted'), makeAuthority('stranger')])
const leafOf = ({ cert, key }: IssuedCertificate) => ({
  cert: cert.slice(0, cert.indexOf('-----END CERTIFICATE-----') + 26),
  key,
})

/** A server that presents a certificate where a client of the engine asks for TLS. */
const presenting: Readonly<
  Record<EngineName, (certificate: IssuedCertificate) => Promise<{ readonly port: number }>>
> = {
  postgres: certificate => startRecordingServer(certificate),
  mysql: certificate => startRecordingMysqlServer({ certificate }),
}

const certificates: Readonly<Record<string, () => IssuedCertificate | Promise<IssuedCertificate>>> = {
  "Hostname/IP does not match certificate's altnames: …": () =>
    authority.issue({ names: ['db.example.com'] }),
  'self-signed certificate in certificate chain…': () => stranger.issue({ names }),
  'self-signed certificate…': () => makeSelfSigned(host),
  'unable to get local issuer certificate…': () => makeWithoutRoot(host),
  'unable to verify the first certificate…': async () => leafOf(await stranger.issue({ names })),
  'certificate has expired': () => authority.issue({ names, notBefore: days(-0.9), notAfter: days(-0.1) }),
  'certificate is not yet valid': () => authority.issue({ names, notBefore: days(1), notAfter: days(2) }),
  '…tlsv1 alert protocol version…': async () =>
    Object.assign(await authority.issue({ names }), {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    }),
}

/** What a client of the engine is told before it asks for TLS. */
const beginnings: Readonly<Record<EngineName, Buffer>> = { postgres: Buffer.alloc(0), mysql: mysqlGreeting() }

/** A server that does with every connection what it is told, at once or after the client has said something. */
async function startServer(
  beginning: Buffer,
  act: (socket: Socket) => void,
  isAtOnce = false,
): Promise<Options> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket.on('error', () => {}))
    socket.write(beginning)
    if (isAtOnce) act(socket)
    else socket.once('data', () => act(socket))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as { port: number }).port, tls: { ca: authority.ca } }
}

async function findClosedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

const silent = (beginning: Buffer) => startServer(beginning, () => {})
const resetting = (beginning: Buffer) => startServer(beginning, socket => void socket.resetAndDestroy())

/** What happens to a connection before there is TLS. */
const events: Readonly<Record<EngineName, Readonly<Record<string, () => Promise<Options>>>>> = {
  postgres: {
    'connect ECONNREFUSED …': async () => ({ port: await findClosedPort() }),
    'timeout expired': async () => ({ ...(await silent(beginnings.postgres)), connectTimeoutMs: 200 }),
    'read ECONNRESET': () => resetting(beginnings.postgres),
    'Client network socket disconnected before secure TLS connection was established': () =>
      startServer(beginnings.postgres, socket => socket.end('S')),
    'The server does not support SSL connections': () =>
      startServer(beginnings.postgres, socket => socket.end('N')),
  },
  mysql: {
    'connect ECONNREFUSED …': async () => ({ port: await findClosedPort() }),
    'connect ETIMEDOUT': async () => ({ ...(await silent(Buffer.alloc(0))), connectTimeoutMs: 200 }),
    'read ECONNRESET': () => resetting(beginnings.mysql),
    'Client network socket disconnected before secure TLS connection was established': () =>
      startServer(beginnings.mysql, socket => socket.end()),
    'Connection lost: The server closed the connection.': () =>
      startServer(Buffer.alloc(0), socket => socket.end(), true),
  },
}

for (const engine of ['postgres', 'mysql'] as const) {
  describe(engine, () => {
    for (const [literal, make] of Object.entries(certificates)) {
      test(`names what to do about "${literal}"`, async () => {
        const { port } = await presenting[engine](await make())
        await assertFails(engine, literal, { port, endpoint: { host }, tls: { ca: authority.ca } })
      })
    }

    for (const [literal, start] of Object.entries(events[engine])) {
      test(`names what to do about "${literal}"`, async () => assertFails(engine, literal, await start()))
    }

    test('has met all that the table says of it', () => {
      const rows = knownFailures.filter(
        ({ engines, from }) => engines.includes(engine) && engines.length > 1 && from === 'server',
      )
      assert.deepEqual(
        [...Object.keys(certificates), ...Object.keys(events[engine])].sort(),
        [...rows.map(({ message }) => message), ...saidByAnyServer[engine]].sort(),
      )
    })
  })
}
