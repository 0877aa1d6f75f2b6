import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { after } from 'node:test'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { nameAskedFor, type RecordingServer } from './recording-server.ts'

/** What a server that speaks MySQL's opening does. */
export interface MysqlOpening {
  /** The certificate that it presents; without one, it knows no TLS. */
  certificate?: { readonly cert: string; readonly key: string }
  /** The greeting, in place of a decent one. */
  readonly greeting?: Buffer
  /** What it sends right behind the greeting, before TLS. */
  readonly afterGreeting?: Buffer
  /** What it answers to the client's login. @default a request for the token */
  readonly answer?: Buffer
  /** The words in which it refuses what came after its answer, if it does. @default it lets anybody in */
  readonly refuse?: () => string | undefined
  /** Whether it lets a session become another user's without a token. */
  readonly trustsSessions?: boolean
}

const capabilities = 0x00ff_f7ff & ~0x0020
const ssl = 0x0800

/** A greeting of MySQL 8. */
export function mysqlGreeting(flags = capabilities | ssl, plugin = 'caching_sha2_password'): Buffer {
  const low = Buffer.alloc(2)
  low.writeUInt16LE(flags & 0xffff)
  const high = Buffer.alloc(2)
  high.writeUInt16LE(flags >>> 16)
  return packet(
    0,
    Buffer.concat([
      Buffer.from([10]),
      Buffer.from('8.0.40\0'),
      Buffer.from([1, 0, 0, 0]),
      Buffer.from('12345678\0'),
      low,
      Buffer.from([45, 2, 0]),
      high,
      Buffer.from([21]),
      Buffer.alloc(10),
      Buffer.from('123456789012\0'),
      Buffer.from(`${plugin}\0`),
    ]),
  )
}

export const greetingWithoutTls = mysqlGreeting(capabilities)

/** The message by which a server refuses whoever logs in: 1045, ER_ACCESS_DENIED_ERROR. */
export function refusal(words: string, sequence = 3): Buffer {
  return packet(sequence, Buffer.from(`\xff\x15\x04#28000${words}`, 'latin1'))
}

/** The message by which a server asks for another way to authenticate. */
export function switchTo(plugin: string, sequence = 3): Buffer {
  return packet(
    sequence,
    Buffer.concat([Buffer.from([0xfe]), Buffer.from(`${plugin}\0`), Buffer.from('12345678901234567890\0')]),
  )
}

export function packet(sequence: number, body: Buffer): Buffer {
  const head = Buffer.from([0, 0, 0, sequence])
  head.writeUIntLE(body.length, 0, 3)
  return Buffer.concat([head, body])
}

const ok = (sequence: number) => packet(sequence, Buffer.from([0, 0, 0, 2, 0, 0, 0]))

/**
 * Starts a server that speaks MySQL's opening, asks for the token, and welcomes anybody. It ends with the test file. What it received
 * leaves out the client's request for TLS, which holds no secret.
 */
export async function startRecordingMysqlServer(
  opening: MysqlOpening,
): Promise<RecordingServer & { resumptions(): number }> {
  // One for each certificate, so that what it gave for resuming a session is known to it again.
  const contexts = new Map<object, SecureContext>()
  let resumptions = 0
  const serverNames: string[] = []
  const chunks: Buffer[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer(socket => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    const { certificate, answer = switchTo('mysql_clear_password') } = opening
    const flags = certificate === undefined ? capabilities : capabilities | ssl
    socket.write(
      Buffer.concat([opening.greeting ?? mysqlGreeting(flags), opening.afterGreeting ?? Buffer.alloc(0)]),
    )
    socket.once('data', first => {
      if (certificate === undefined || first.length < 36) {
        chunks.push(first)
        serve(socket, answer, opening, chunk => chunks.push(chunk))
        return
      }
      // The request is 36 bytes; what is behind it belongs to TLS.
      if (first.length > 36) socket.pause().unshift(first.subarray(36))
      const secureContext = contexts.get(certificate) ?? createSecureContext(certificate)
      contexts.set(certificate, secureContext)
      const secure = new TLSSocket(socket, { isServer: true, secureContext })
      secure.on('secure', () => {
        serverNames.push(nameAskedFor(secure))
        if (secure.isSessionReused()) resumptions += 1
      })
      secure.on('error', () => socket.destroy())
      serve(secure, answer, opening, chunk => chunks.push(chunk))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    connections: () => connections,
    serverNames: () => serverNames,
    resumptions: () => resumptions,
    async received() {
      await Promise.all([...sockets].map(socket => once(socket, 'close')))
      return Buffer.concat(chunks).toString('latin1')
    },
  }
}

/** Answers the login, then lets in whatever comes, and says yes to every command. */
function serve(
  stream: Socket,
  answer: Buffer,
  { trustsSessions = false, refuse }: MysqlOpening,
  record: (chunk: Buffer) => void,
): void {
  let pending = Buffer.alloc(0)
  let count = 0
  stream.on('end', () => stream.end())
  stream.on('data', chunk => {
    record(chunk)
    pending = Buffer.concat([pending, chunk])
    for (;;) {
      if (pending.length < 4 || pending.length < 4 + pending.readUIntLE(0, 3)) return
      const sequence = pending[3] ?? 0
      const command = pending[4]
      pending = pending.subarray(4 + pending.readUIntLE(0, 3))
      count += 1
      const words = count === 2 ? refuse?.() : undefined
      if (count === 1) stream.write(answer)
      else if (words !== undefined) stream.end(refusal(words, sequence + 1))
      else if (sequence === 0 && command === 1) stream.end()
      // A change of the user asks for the token again.
      else if (sequence === 0 && command === 17 && !trustsSessions)
        stream.write(switchTo('mysql_clear_password', 1))
      else stream.write(ok(sequence + 1))
    }
  })
}
