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

/**
 * Starts a front.
 *
 * @param target The port of the server.
 * @param asksForToken Whether it asks whoever logs in by MySQL's protocol for a token, as the plugin does, before the
 * server hears of the login. It takes any.
 */
export async function startRdsFront(
  engine: 'postgres' | 'mysql',
  target: number,
  { asksForToken = false }: { readonly asksForToken?: boolean } = {},
): Promise<RdsFront> {
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
    if (engine === 'postgres') servePostgres(client, upstream, secureContext)
    else
      serveMysql({ client, upstream, secureContext, asksForToken, onStatement: sql => statements.push(sql) })
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
  upstream.on('close', () => client.destroySoon())
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
function serveMysql({
  client,
  upstream,
  secureContext,
  asksForToken,
  onStatement,
}: {
  readonly client: Socket
  readonly upstream: Socket
  readonly secureContext: SecureContext
  readonly asksForToken: boolean
  readonly onStatement: (sql: string) => void
}): void {
  let isLoggedIn = false
  let stream: Socket = client
  // The packets of the login that the server knows nothing of: the request for TLS is one, the question for the token
  // and the token are two.
  let own = asksForToken ? 3 : 1
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
      let login: Buffer | undefined
      onPackets(stream, (sequence, body) => {
        if (isFirst) {
          isFirst = false
          body.writeUInt32LE((body.readUInt32LE(0) & ~ssl) >>> 0, 0)
          if (asksForToken) {
            login = body
            stream.write(packet(sequence + 1, Buffer.from('\xfemysql_clear_password\0', 'latin1')))
            return
          }
        }
        const isQuery = isLoggedIn && sequence === 0 && body[0] === 3
        // Before the text, no attributes in one set, where there may be any.
        if (isQuery) onStatement(body.toString('utf8', body[1] === 0 ? 3 : 1))
        // The login goes on in the place of the token.
        const sent = isQuery ? Buffer.from(body.toString('utf8').replace(plugin, '')) : (login ?? body)
        login = undefined
        upstream.write(packet(isLoggedIn ? sequence : sequence - own, sent))
      })
    })
  }
  // The last packet, which may be a refusal, arrives.
  upstream.on('close', () => stream.destroySoon())
  let isGreeting = true
  onPackets(upstream, (sequence, body) => {
    if (isGreeting) {
      isGreeting = false
      takeGreeting(body)
      return
    }
    if (asksForToken && !isLoggedIn && body[0] === 0xfe) {
      // The user has no password, which the client is not asked for once it gave its token. MySQL 8's plugin
      // hears of that by one zero.
      own -= 2
      upstream.write(packet(sequence + 1, Buffer.alloc(body.includes('caching_sha2_password') ? 1 : 0)))
      return
    }
    stream.write(packet(isLoggedIn ? sequence : sequence + own, body))
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
