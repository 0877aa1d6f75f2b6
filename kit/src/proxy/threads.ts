import { changeUserCommand } from '../wire/mysql-login.ts'

// https://dev.mysql.com/doc/dev/mysql-server/latest/my__command_8h.html
const queryCommand = 0x03
const killCommand = 0x0c

/** Beyond what a server has counted to: so that no number is that of somebody else's thread. */
const firstId = 0xf000_0000
const lastId = 0xffff_ffff

/** `KILL` of a client or a driver: that of its own session, by the number that it was told. */
const kill = /^(\s*kill\b.*?\b)(\d+)(\s*;?\s*)$/is
/** Longer ones are written by somebody who has asked the server for the number. */
const longestKill = 64

/**
 * The thread ids of sessions. A client is told one before there is a session, and `KILL` of it, by which
 * clients and drivers cancel, has to reach the thread that it became.
 */
export interface Threads {
  /** @returns A number for a client. */
  next(): number
  /** Remembers which thread it is at the server. @returns Forgets it. */
  add(id: number, threadId: number): () => void
  /** A command with the server's own number in it; nothing where it is no `KILL` of a client's number. */
  translate(command: Buffer): Buffer | undefined
}

export function createThreads(): Threads {
  const threads = new Map<number, number>()
  let latest = firstId - 1
  return {
    next() {
      latest = latest === lastId ? firstId : latest + 1
      return latest
    },
    add(id, threadId) {
      threads.set(id, threadId)
      return () => threads.delete(id)
    },
    translate(command) {
      if (command[0] === killCommand && command.length === 5) {
        const threadId = threads.get(command.readUInt32LE(1))
        if (threadId === undefined) return undefined
        const translated = Buffer.from(command)
        translated.writeUInt32LE(threadId, 1)
        return translated
      }
      if (command[0] !== queryCommand || command.length > longestKill) return undefined
      const [, before, id, after] = kill.exec(command.toString('latin1', 1)) ?? []
      const threadId = threads.get(Number(id))
      return threadId === undefined
        ? undefined
        : Buffer.concat([command.subarray(0, 1), Buffer.from(`${before}${threadId}${after}`, 'latin1')])
    },
  }
}

/** How many bytes of a command tell whether the proxy has to do with it. */
export const tellingBytes = (user: string): number => Math.max(longestKill + 1, Buffer.byteLength(user) + 2)

/** Whether a command changes to the user of the session: which takes a token, as at the start. */
export function isChangeUser(command: Buffer, user: string): boolean {
  // By the name too: a packet of the contents of a file (LOAD DATA LOCAL) may begin with the same byte.
  const start = Buffer.concat([Buffer.from([changeUserCommand]), Buffer.from(`${user}\0`)])
  return command.subarray(0, start.length).equals(start)
}
