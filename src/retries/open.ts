import { patienceMs, shortestAttemptMs } from '../time/backoff.ts'
import { type Clock, systemClock } from '../time/clock.ts'
import type { AttemptToken } from '../token/attempt-token.ts'
import { type Asker, createRetry, type RetryParts } from './retry.ts'

/** How one attempt ended. */
export type Attempted<Connection> =
  | { readonly connection: Connection }
  | {
      /** What the driver failed with. */
      readonly error: unknown
      /**
       * The token of the attempt; `undefined` where the failure is not about opening a physical connection.
       */
      readonly token: AttemptToken | undefined
    }

/** A physical connection on its way. */
export interface Dialling {
  /** Whether it is the network or the server that lets it wait, and not this side, which may be signing. */
  isSilent(): boolean
  /** Ends it at once, and leaves neither a socket nor a place in a pool behind. Its attempt fails. */
  giveUp(): void
}

/** What one attempt is told, and what it tells. */
export interface AttemptTerms {
  /** Whether it is made beside one that is silent, and has to have a place although that one has it. */
  readonly isBeside: boolean
  /** Tells that a physical connection is on its way. */
  onDial(dialling: Dialling): void
}

/** How connections are opened that {@link openWithRetries} asks for. */
export interface Attempts<Connection> {
  attempt(terms: AttemptTerms): Promise<Attempted<Connection>>
  /** Takes a connection that came too late, when another one is in use already. */
  discard(connection: Connection): void
}

/** An attempt that is under way. */
interface Trial<Connection> {
  readonly ended: Promise<Attempted<Connection>>
  /** Resolves when it has been silent for too long. */
  readonly silence: Promise<'silent'>
  readonly silentMs: number
  /** Whether it has opened a physical connection, or tried to. */
  hasDialled(): boolean
  giveUp(): void
}

/**
 * Repeats attempts to open one physical connection, until one succeeds or no further one makes sense. What
 * passes by itself is tried again with full jitter until the deadline; a refused token sparingly, because
 * throttling is refused in the same words as a wrong policy; anything else not at all.
 *
 * An attempt that is silent is overtaken: another one begins beside it, and whichever is ready first serves.
 * There are never more than two. The first that was silent goes on, because a server may be slow and alive; the
 * next ones that are silent are given up. One that the server has answered, be it to throttle, never has
 * company.
 *
 * @throws {RdsIamError} What the last attempt failed with, and how often and how long it was tried.
 */
export async function openWithRetries<Connection>(
  parts: RetryParts,
  asker: Asker,
  { attempt, discard }: Attempts<Connection>,
): Promise<Connection> {
  const { access, clock = systemClock } = parts
  const budgetMs = asker.deadlineMs - clock.now()
  const retry = createRetry(parts, asker)
  const { promise: opened, resolve, reject } = Promise.withResolvers<Connection>()
  const running = new Set<Trial<Connection>>()
  // One that was silent, and goes on.
  let overtaken: Trial<Connection> | undefined
  let silences = 0
  let isOver = false

  /** Serves the first connection that is ready. Two may be in the same moment. */
  const serve = (trial: Trial<Connection>, connection: Connection): void => {
    if (isOver) {
      discard(connection)
      return
    }
    isOver = true
    if (trial.hasDialled()) access.refusals.forget()
    resolve(connection)
  }

  const fail = (error: unknown): void => {
    isOver = true
    reject(error)
  }

  const begin = (): Trial<Connection> => {
    const isBeside = overtaken !== undefined
    const trial = startTrial(attempt, { clock, isBeside, asker, silentMs: patienceMs(budgetMs, silences) })
    running.add(trial)
    trial.ended.then(
      ended => {
        running.delete(trial)
        if ('connection' in ended) serve(trial, ended.connection)
      },
      () => running.delete(trial),
    )
    return trial
  }

  /** Lets a silent attempt go on beside the next one, or ends it where there is one already. */
  const overtake = async (trial: Trial<Connection>): Promise<void> => {
    silences += 1
    retry.afterSilence(trial.silentMs)
    if (overtaken !== undefined) {
      trial.giveUp()
      // A pool has its place again only then.
      await trial.ended.catch(() => {})
      return
    }
    overtaken = trial
    trial.ended
      .then(ended => {
        if (!isOver && !('connection' in ended)) retry.afterOvertaken(ended.error, ended.token)
      })
      // A hook of the user's will fail the next attempt too.
      .catch(() => {})
      .finally(() => {
        overtaken = undefined
      })
  }

  const tryUntilOver = async (): Promise<void> => {
    const due = retry.beforeFirst()
    if (due !== undefined) await due
    while (!isOver) {
      const trial = begin()
      const ended = await Promise.race([trial.ended, trial.silence])
      if (isOver) return
      if (ended === 'silent') await overtake(trial)
      // It is served as soon as it is there.
      else if ('connection' in ended) return
      else if (ended.token === undefined) throw access.explain(ended.error, { account: asker.account })
      else await retry.afterFailure(ended.error, ended.token)
    }
  }

  tryUntilOver().catch(fail)
  return opened.finally(() => {
    for (const trial of running) trial.giveUp()
  })
}

function startTrial<Connection>(
  attempt: Attempts<Connection>['attempt'],
  {
    clock,
    isBeside,
    asker,
    silentMs,
  }: { readonly clock: Clock; readonly isBeside: boolean; readonly asker: Asker; readonly silentMs: number },
): Trial<Connection> {
  const { promise: silence, resolve } = Promise.withResolvers<'silent'>()
  let dialling: Dialling | undefined
  let stopWatching = (): void => {}

  const watch = (): void => {
    stopWatching = clock.after(silentMs, () => {
      // Another one would have no time.
      if (asker.deadlineMs - clock.now() <= shortestAttemptMs) return
      if (dialling?.isSilent()) resolve('silent')
      else watch()
    })
  }

  const run = async (): Promise<Attempted<Connection>> => {
    try {
      return await attempt({
        isBeside,
        onDial(next) {
          dialling = next
          stopWatching()
          watch()
        },
      })
    } finally {
      stopWatching()
    }
  }

  return {
    ended: run(),
    silence,
    silentMs,
    hasDialled: () => dialling !== undefined,
    giveUp: () => dialling?.giveUp(),
  }
}
