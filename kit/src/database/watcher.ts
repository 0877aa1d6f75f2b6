import { spawn } from 'node:child_process'
import { onExit } from './on-exit.ts'

/** Cleans up where this process is killed before it can do so itself. */
export interface Watcher {
  /** Names the process that is to be ended; the last one named counts. */
  watch(pid: number): void
  dismiss(): void
}

/**
 * Starts a shell that waits for this process to be gone, because the pipe between them closes then whatever
 * the reason; it then ends the watched process and removes the folder.
 *
 * @param signal How to end it, and all that belongs to it, at once.
 */
export function startWatcher(folder: string, signal: 'QUIT' | 'KILL'): Watcher {
  const script = 'while read -r pid; do watched=$pid; done; kill "-$2" "$watched" && sleep 1; rm -rf "$1"'
  const shell = spawn('/bin/sh', ['-c', script, 'sh', folder, signal], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  // Without it, everything works but this; the pipe breaks only with it.
  shell.on('error', () => {})
  shell.stdin.on('error', () => {})
  // It does not keep this process from ending.
  shell.unref()
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref()
  const kill = () => void shell.kill('SIGKILL')
  const forget = onExit(kill)
  return {
    watch: pid => void shell.stdin.write(`${pid}\n`),
    dismiss: () => {
      forget()
      kill()
    },
  }
}
