import { constants } from 'node:os'

type Cleanup = () => void

const cleanups = new Set<Cleanup>()
let listening = false

function runCleanups(): void {
  // Last in, first out: what was started last may depend on what was started before it.
  for (const cleanup of [...cleanups].reverse()) cleanup()
  cleanups.clear()
}

/**
 * Runs `cleanup` when this process ends, by itself, by an uncaught error or by Ctrl-C, unless it was taken
 * back before.
 *
 * Nothing asynchronous happens in an `exit` listener, so the cleanup must be synchronous. A process ended by
 * SIGKILL cleans up nothing.
 *
 * @returns Takes the cleanup back without running it.
 */
export function onExit(cleanup: Cleanup): () => void {
  if (!listening) {
    listening = true
    process.on('exit', runCleanups)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => process.exit(128 + constants.signals[signal]))
    }
  }
  cleanups.add(cleanup)
  return () => {
    cleanups.delete(cleanup)
  }
}
