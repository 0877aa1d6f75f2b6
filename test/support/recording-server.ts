import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { after } from 'node:test'
import { createSecureContext, TLSSocket } from 'node:tls'

/** What a server does when it is asked for TLS. */
export type Opening =
  /** It says yes and presents this certificate. */
  | {
      readonly cert: string
      readonly key: string
      /** What it answers to the startup message. @default a request for the token */
      readonly answer?: Buffer
      /** What it refuses the password with, if it does. @default it lets anybody in */
      readonly refuse?: () => Buffer | undefined
    }
  /** It answers with these bytes, and from then on takes whatever comes as PostgreSQL without TLS. */
  | { readonly plaintext: Buffer }

/** A server that takes everything that a client gives it, and keeps it. */
export interface RecordingServer {
  readonly port: number
  /** How many connections there have been. */
  connections(): number
  /** The name that each client asked TLS for; empty for none. */
  serverNames(): readonly string[]
  /** Every byte that it could read: what came in the clear, and what it decrypted. Waits until no connection is open. */
  received(): Promise<string>
}

/** The client's request for TLS, as a text of its bytes; it is all that may be sent in the clear. */
export const sslRequest = '\0\0\0\x08\x04\xd2\x16\x2f'

const handshakeRecord = 0x16

/** The message by which a server asks for the password in clear text. */
export const passwordRequest = message('R', [0, 0, 0, 3])

/** Starts a server that speaks PostgreSQL's opening, asks for the token, and welcomes anybody. It ends with the test file. */
export async function startRecordingServer(opening: Opening): Promise<RecordingServer> {
  const chunks: Buffer[] = []
  const sockets = new Set<Socket>()
  const serverNames: string[] = []
  let connections = 0
  const record = (chunk: Buffer) => void chunks.push(chunk)

  const server = createServer(socket => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.once('data', first => {
      const isDirect = first[0] === handshakeRecord
      if (!('cert' in opening)) {
        record(first)
        socket.write(opening.plaintext)
        welcome(socket, record)
      } else if (isDirect || first.toString('latin1') === sslRequest) {
        // Paused, so that what is put back waits for TLS.
        if (isDirect) socket.pause().unshift(first)
        else socket.write('S')
        const secureContext = createSecureContext(opening)
        const ALPNProtocols = ['postgresql']
        const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols })
        secure.on('secure', () => serverNames.push(nameAskedFor(secure)))
        secure.on('error', () => socket.destroy())
        welcome(secure, record, opening)
      } else {
        record(first)
        socket.destroy()
      }
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
    async received() {
      await Promise.all([...sockets].map(socket => once(socket, 'close')))
      return Buffer.concat(chunks).toString('latin1')
    },
  }
}

/** The name that a client asked TLS for, of which Node's types know nothing on the server's side. */
export function nameAskedFor(secure: TLSSocket): string {
  const { servername } = secure as TLSSocket & { readonly servername?: string | false }
  return servername || ''
}

/** Answers the startup message by asking for the password, and whatever then comes as a password by letting it in. */
function welcome(
  stream: Socket,
  record: (chunk: Buffer) => void,
  {
    answer = passwordRequest,
    refuse,
  }: { readonly answer?: Buffer; readonly refuse?: () => Buffer | undefined } = {},
): void {
  let pending = Buffer.alloc(0)
  let started = false
  stream.on('end', () => stream.end())
  stream.on('data', chunk => {
    record(chunk)
    pending = Buffer.concat([pending, chunk])
    for (;;) {
      const headLength = started ? 5 : 4
      if (pending.length < headLength) return
      const length = pending.readUInt32BE(headLength - 4) + headLength - 4
      if (pending.length < length) return
      const type = started ? String.fromCharCode(pending[0] ?? 0) : 'startup'
      pending = pending.subarray(length)
      started = true
      const verdict = type === 'p' ? refuse?.() : undefined
      if (type === 'startup') stream.write(answer)
      else if (verdict !== undefined) stream.end(verdict)
      else if (type === 'p') stream.write(Buffer.concat([message('R', [0, 0, 0, 0]), message('Z', [0x49])]))
      else if (type === 'Q') stream.write(Buffer.concat([message('I', []), message('Z', [0x49])]))
      else stream.end()
    }
  })
}

/** The message by which a server refuses whoever logs in. */
export function fatal(code: string, words: string): Buffer {
  return message('E', [...Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${words}\0\0`)])
}

function message(type: string, body: readonly number[]): Buffer {
  const head = Buffer.from(`${type}0000`)
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, Buffer.from(body)])
}
