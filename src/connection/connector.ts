import type { Access } from '../access/access.ts'
import { outside } from '../drivers/callers.ts'
import type { Connect, Opened } from '../drivers/driver.ts'
import type { ConnectionSettings } from '../options/settings.ts'
import type { Attempted, AttemptTerms } from '../retries/open.ts'
import type { Asker } from '../retries/retry.ts'
import { createOpening } from '../retries/writer.ts'
import { type Clock, systemClock } from '../time/clock.ts'
import { withDeadline } from '../time/deadline.ts'
import { elapsedMs } from '../time/elapsed.ts'
import { type AttemptToken, createAttemptToken } from '../token/attempt-token.ts'

/** Opens one physical connection before a deadline, or throws one `RdsIamError`. */
export type Connector<Connection> = (asker: Asker) => Promise<Opened<Connection>>

/** What opening a connection takes. */
export interface ConnectorParts<Connection> {
  readonly connect: Connect<Connection>
  readonly access: Access
  readonly settings: Pick<ConnectionSettings, 'connectTimeoutMs' | 'retryRefused' | 'targetSessionAttrs'>
  /** @default the system's */
  readonly clock?: Clock
}

export function createConnector<Connection>(parts: ConnectorParts<Connection>): Connector<Connection> {
  const { connect, access, settings, clock = systemClock } = parts
  const { tokens, trust } = access

  const connectOnce = async (
    deadlineMs: number,
    token: AttemptToken,
    { late, onDial }: Pick<AttemptTerms, 'onDial'> & { readonly late: () => Error },
  ): Promise<Opened<Connection>> => {
    const leftMs = () => deadlineMs - clock.now()
    if (leftMs() <= 0) throw late()
    const tls = await withDeadline(trust.load(), leftMs(), late)
    let isConnected = false
    const abandoning = new AbortController()
    const connecting = outside(() =>
      connect({
        tls,
        timeoutMs: Math.max(1, leftMs()),
        // A handler that authenticates again does so long after.
        token: async () => (isConnected ? (await tokens.get()).token : token.take()),
        signal: abandoning.signal,
      }),
    )
    token.prepare()
    onDial({ isSilent: () => !token.isAwaited(), giveUp: () => abandoning.abort() })
    const opened = await connecting
    isConnected = true
    return opened
  }

  const opening = createOpening<Opened<Connection>>({
    access,
    settings,
    clock,
    connections: {
      takesWrites: ({ session }) => session.takesWrites(),
      isUsable: ({ session }) => session.isUsable(),
      discard({ session }, reason) {
        void session.close()
        access.emit({ event: 'connection:closed', reason, connections: 1 })
      },
    },
  })

  return asker => {
    const late = outOfTime(settings, asker.deadlineMs, clock)
    return opening.open(asker, {
      async attempt({ onDial }): Promise<Attempted<Opened<Connection>>> {
        const token = createAttemptToken(tokens)
        const startedMs = performance.now()
        try {
          const connection = await connectOnce(asker.deadlineMs, token, { late, onDial })
          const durationMs = elapsedMs(startedMs)
          access.emit({ event: 'connection:opened', durationMs, tokenReused: token.isReused() })
          return { connection }
        } catch (error) {
          return { error, token }
        }
      },
      discard({ session }) {
        void session.close()
        access.emit({ event: 'connection:closed', reason: 'overtaken', connections: 1 })
      },
    })
  }
}

/** What to say once the time is over: that it did not suffice, or that from the start there was none. */
export function outOfTime(
  { connectTimeoutMs }: Pick<ConnectionSettings, 'connectTimeoutMs'>,
  deadlineMs: number,
  clock: Clock = systemClock,
): () => Error {
  const hadTime = deadlineMs > clock.now()
  return () =>
    new Error(
      hadTime
        ? `no connection within ${connectTimeoutMs} ms, or the time that the invocation had left`
        : 'the invocation has no time left to connect',
    )
}
