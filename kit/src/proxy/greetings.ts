import type { Socket } from 'node:net'
import type { LoginSource } from 'middy-rds-iam/login-source'
import { neededCapabilities } from '../wire/mysql-capabilities.ts'
import type { Greeting } from '../wire/mysql-greeting.ts'
import type { HandshakeResponse } from '../wire/mysql-login.ts'
import { encodePacket } from '../wire/mysql-packets.ts'
import { logIn } from './mysql-login.ts'

/** How long a client waits to be greeted while the server's words are being learnt, in milliseconds. */
const patienceMs = 5_000

/**
 * How the server greets. Drivers go by its version and capabilities before they have said anything, and a
 * client that has not given its password yet must cause no connection: so it is learnt ahead.
 */
export interface Greetings {
  /** As the server greeted last; nothing where it could not be reached. */
  get(): Promise<Greeting | undefined>
  keep(greeting: Greeting): void
}

export function createGreetings(source: LoginSource, hold: (socket: Socket) => void): Greetings {
  let latest: Greeting | undefined
  let learning: Promise<void> | undefined

  const learn = async (): Promise<void> => {
    const { user } = source.target
    const response = { ...nobody, user }
    const session = await source.open({
      database: '',
      attempt: login => logIn(login, response, hold),
      discard: ({ socket }) => socket.destroy(),
    })
    latest ??= session.greeting
    // COM_QUIT: an end without it, servers count as a broken connection.
    session.socket.end(encodePacket(0, Buffer.from([0x01]))).resume()
  }

  const learnOnce = (): Promise<void> => {
    learning ??= learn()
      // Whoever gives the password is told why.
      .catch(() => {})
      .finally(() => {
        learning = undefined
      })
    return learning
  }

  void learnOnce()
  return {
    async get() {
      if (latest !== undefined) return latest
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>(resolve => {
        timer = setTimeout(resolve, patienceMs)
      })
      await Promise.race([learnOnce(), late])
      clearTimeout(timer)
      return latest
    },
    keep(greeting) {
      latest = greeting
    },
  }
}

/** What is said of a client that is none. */
const nobody: HandshakeResponse = {
  user: '',
  database: Buffer.alloc(0),
  capabilities: neededCapabilities,
  maxPacketSize: 0xffffff,
  // utf8mb4_general_ci
  charset: 45,
  reserved: Buffer.alloc(23),
  guess: { plugin: '', answer: Buffer.alloc(0) },
  attributes: undefined,
}
