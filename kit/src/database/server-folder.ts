import { chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onExit } from './on-exit.ts'
import { pickUser, type ServerUser } from './server-user.ts'
import { startWatcher, type Watcher } from './watcher.ts'

/** Where a database server keeps its data while it runs. */
export interface ServerFolder {
  /** In the system's temporary folder; it belongs to `user`. */
  readonly path: string
  /** Whom the server is to run as, where not as the caller. */
  readonly user: ServerUser | undefined
  readonly watcher: Watcher
  remove(): void
}

/**
 * Makes a folder that is gone when this process is, however it ends.
 *
 * @param name For example `'postgres'`.
 * @param signal What ends the server at once, for the watcher.
 */
export function makeServerFolder(name: string, signal: 'QUIT' | 'KILL'): ServerFolder {
  const path = mkdtempSync(join(tmpdir(), `rds-iam-kit-${name}-`))
  // Once is not always enough: rmSync takes a file that a process on its way out removes at the same time for
  // the end of its work.
  const removeFolder = () =>
    waitWhile(() => {
      rmSync(path, { recursive: true, force: true, maxRetries: 10 })
      return existsSync(path)
    }, 2000)
  const forgetFolder = onExit(removeFolder)
  const watcher = startWatcher(path, signal)
  const remove = () => {
    watcher.dismiss()
    forgetFolder()
    removeFolder()
  }
  try {
    const user = pickUser()
    if (user) chownSync(path, user.uid, user.gid)
    return { path, user, watcher, remove }
  } catch (error) {
    remove()
    throw error
  }
}

/** Blocks the process, for `exit` listeners, where nothing asynchronous happens any more. */
export function waitWhile(condition: () => boolean, limitMs: number): void {
  const limit = Date.now() + limitMs
  const neverNotified = new Int32Array(new SharedArrayBuffer(4))
  while (condition() && Date.now() < limit) Atomics.wait(neverNotified, 0, 0, 5)
}
