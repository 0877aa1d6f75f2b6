import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { makeAuthority } from '../../kit/src/index.ts'

/** What stands before a server of this machine and gives it what it has on Amazon RDS: TLS and, for MySQL and MariaDB, the plugin of IAM users. */
export interface RdsFront {
  readonly port: number
  /** Its authority, PEM. */
  readonly ca: string
  /** MySQL's and MariaDB's alone: the SQL that was sent, as it was sent. */
  readonly statements: readonly string[]
  /** Whether clients are kept waiting, without a word. */
  isSilent: boolean
  close(): Promise<void>
}

/** A user of another server has no password then: only the gateway, which asks for a token, speaks to it. */
const plugin = " IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL"

export async function startRdsFront(engine: 'postgres' | 'mysql', target: number): Promise<RdsFront> {
  const { ca, issue } = await makeAuthority('RDS')
  const secureContext = createSecureContext(await issue({ names: ['localhost'] }))
  const sockets = new Set<Socket>()
  const statements: string[] = []
  const server = createServer(client => {
    const hold = (socket: Socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    hold(client)
    if (front.isSilent) return
    const upstream = connect(target, '127.0.0.1')
    hold(upstream)
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    if (engine === 'postgres') servePostgres(client, upstream, secureContext)
    else serveMysql(client, upstream, secureContext, sql => statements.push(sql))
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  const front: RdsFront = {
    port: (server.address() as { port: number }).port,
    ca,
    statements,
    isSilent: false,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return front
}

function secure(client: Socket, secureContext: SecureContext): TLSSocket {
  const stream = new TLSSocket(client, { isServer: true, secureContext })
  stream.on('error', () => client.destroy())
  return stream
}

// https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
function servePostgres(client: Socket, upstream: Socket, secureContext: SecureContext): void {
  client.once('data', request => {
    if (request.length !== 8 || request.readInt32BE(4) !== 80877103) {
      client.destroy()
      return
    }
    client.write('S')
    const stream = secure(client, secureContext)
    stream.pipe(upstream).pipe(stream)
  })
}

const ssl = 0x0800

// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
function serveMysql(
  client: Socket,
  upstream: Socket,
  secureContext: SecureContext,
  onStatement: (sql: string) => void,
): void {
  let isLoggedIn = false
  let stream: Socket = client
  const takeGreeting = (body: Buffer): void => {
    // Behind the version, its number of the session and the first half of the salt.
    const capabilities = body.indexOf(0) + 1 + 4 + 8 + 1
    body.writeUInt16LE(body.readUInt16LE(capabilities) | ssl, capabilities)
    client.write(packet(0, body))
    client.once('data', request => {
      if (request.length < 36 || request.readUIntLE(0, 3) !== 32 || (request.readUInt32LE(4) & ssl) === 0) {
        client.destroy()
        return
      }
      // What is behind it belongs to TLS.
      if (request.length > 36) client.pause().unshift(request.subarray(36))
      stream = secure(client, secureContext)
      let isFirst = true
      onPackets(stream, (sequence, body) => {
        if (isFirst) body.writeUInt32LE((body.readUInt32LE(0) & ~ssl) >>> 0, 0)
        isFirst = false
        const isQuery = isLoggedIn && sequence === 0 && body[0] === 3
        // Before the text, no attributes in one set, where there may be any.
        if (isQuery) onStatement(body.toString('utf8', body[1] === 0 ? 3 : 1))
        const sent = isQuery ? Buffer.from(body.toString('utf8').replace(plugin, '')) : body
        // The request for TLS was a packet of its own, of which the server knows nothing.
        upstream.write(packet(isLoggedIn ? sequence : sequence - 1, sent))
      })
    })
  }
  let isGreeting = true
  onPackets(upstream, (sequence, body) => {
    if (isGreeting) {
      isGreeting = false
      takeGreeting(body)
      return
    }
    stream.write(packet(isLoggedIn ? sequence : sequence + 1, body))
    if (body[0] === 0) isLoggedIn = true
  })
}

function onPackets(stream: Socket, take: (sequence: number, body: Buffer) => void): void {
  let pending: Buffer = Buffer.alloc(0)
  stream.on('data', chunk => {
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= 4 && pending.length >= 4 + pending.readUIntLE(0, 3)) {
      const end = 4 + pending.readUIntLE(0, 3)
      const [sequence, body] = [pending[3] ?? 0, Buffer.from(pending.subarray(4, end))]
      pending = pending.subarray(end)
      take(sequence, body)
    }
  })
}

function packet(sequence: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUIntLE(body.length, 0, 3)
  head[3] = sequence
  return Buffer.concat([head, body])
}
