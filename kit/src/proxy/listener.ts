import { once } from 'node:events'
import { chmodSync, lstatSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { type AddressInfo, connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { RdsIamError } from 'middy-rds-iam'
import type { Place } from './settings.ts'

/**
 * Listens.
 *
 * @returns Where clients reach it: the port that was free, where any was asked for.
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` where the place is taken, or is open to others.
 */
export async function listen(server: Server, place: Place): Promise<{ host: string; port: number }> {
  const { host, port, socket } = place
  try {
    if (socket === undefined) {
      server.listen(port, host)
      await once(server, 'listening')
      return { host, port: (server.address() as AddressInfo).port }
    }
    makeSocketFolder(dirname(socket))
    await removeLeftover(socket)
    server.listen(socket)
    await once(server, 'listening')
    // Its folder keeps others away already.
    chmodSync(socket, 0o600)
    return { host, port }
  } catch (cause) {
    if (cause instanceof RdsIamError) throw cause
    throw cannotListen(socket ?? `${host}:${port}`, cause)
  }
}

/** Makes the folder of a socket, for its owner alone; one that is there must be so. */
function makeSocketFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { mode, uid } = statSync(folder)
  const isOwn = process.getuid === undefined || uid === process.getuid()
  if (isOwn && (process.platform === 'win32' || (mode & 0o077) === 0)) return
  const problem = isOwn
    ? `may be entered by others (its mode is ${(mode & 0o777).toString(8)}): run chmod 700, or give a folder of its own`
    : 'belongs to another user: give one of your own'
  throw new RdsIamError('RDS_IAM_OPTIONS', `startProxy: the folder ${folder} of the socket ${problem}`)
}

/**
 * Removes the socket of a process that was killed. One that somebody listens at stays, and so does a file.
 */
async function removeLeftover(path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return
  const isTaken = await new Promise<boolean>(resolve => {
    const probe = connect(path, () => resolve(true)).on('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
  if (!isTaken) rmSync(path)
}

function cannotListen(where: string, cause: unknown): RdsIamError {
  const { code, message } = cause as NodeJS.ErrnoException
  const taken = 'another program listens there; give another one, or end that program'
  const why = code === 'EADDRINUSE' ? taken : code === 'EACCES' ? 'this user may not listen there' : message
  return new RdsIamError('RDS_IAM_OPTIONS', `startProxy: cannot listen on ${where}: ${why}`, { cause })
}
