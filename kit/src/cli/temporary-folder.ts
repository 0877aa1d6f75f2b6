import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder in the system's temporary folder that nobody else may look into. */
export interface TemporaryFolder {
  readonly path: string
  remove(): void
}

/**
 * Makes a folder that is gone when this process is: removed when it exits, and by a shell that outlives it where
 * it is killed. Whoever calls it takes care of signals that would end the process without an `exit`.
 */
export function makeTemporaryFolder(): TemporaryFolder {
  // Made with the mode 0700.
  const path = mkdtempSync(join(tmpdir(), 'rds-iam-'))
  const removeFolder = () => rmSync(path, { recursive: true, force: true })
  process.once('exit', removeFolder)
  const endWatcher = startWatcher(path)
  return {
    path,
    remove() {
      process.removeListener('exit', removeFolder)
      removeFolder()
      endWatcher()
    },
  }
}

/** The pipe to the shell closes when this process is gone, whatever ended it. */
function startWatcher(path: string): () => void {
  const script = 'read -r _; rm -rf "$1"'
  const shell = spawn('/bin/sh', ['-c', script, 'sh', path], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Neither Ctrl-C nor the end of the terminal reaches it.
    detached: true,
  })
  // Where there is no shell, only a kill leaves the folder.
  shell.on('error', () => {})
  shell.stdin.on('error', () => {})
  shell.unref()
  return () => void shell.stdin.destroy()
}
