import { withDeadline } from '../time/deadline.ts'
import type { ConnectionSource } from './source.ts'

type Closable = Pick<ConnectionSource<unknown>, 'shutDown'>

/**
 * Time in milliseconds for closing. Lambda leaves the process 500 ms or more, which it shares with others
 * that have something to do.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
 */
const shutdownTimeMs = 300

// By weak references: a middleware or pool that nobody has any more holds nothing to close.
const sources = new Set<WeakRef<Closable>>()
let isListening = false

/**
 * Ends the idle connections of a source politely when SIGTERM tells the process to end, which reaches a
 * Lambda function where an extension is registered. One listener serves all sources.
 */
export function closeAtShutdown(source: Closable): void {
  for (const known of sources) if (known.deref() === undefined) sources.delete(known)
  sources.add(new WeakRef(source))
  if (isListening) return
  isListening = true
  // Ahead of the others, so that none that listens once is gone by then.
  process.prependListener('SIGTERM', closeAll)
}

async function closeAll(): Promise<void> {
  const closing = [...sources].map(known => known.deref()?.shutDown())
  // Who else listens decides whether and when the process ends.
  if (process.listenerCount('SIGTERM') > 1) return
  await withDeadline(Promise.all(closing), shutdownTimeMs, () => new Error('late')).catch(() => {})
  // Without a listener, the signal does what it would have done without this package.
  process.removeListener('SIGTERM', closeAll)
  isListening = false
  process.kill(process.pid, 'SIGTERM')
}
