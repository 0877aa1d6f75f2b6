import { AsyncLocalStorage } from 'node:async_hooks'

/** Whoever uses connections for a time: an invocation of the function. */
export interface Caller {
  /** As the log knows it, for example Lambda's request id. */
  readonly id: string | undefined
  /** Whether its time is over: what it still sends meets the connections of others. */
  hasEnded: boolean
}

/** Tells by the asynchronous context whose code is running. */
export interface Callers {
  /** Has all that follows in this asynchronous context belong to a caller. */
  enter(caller: Caller): void
  /** Whose code is running; `undefined` where nobody knows, or where it has ended. */
  current(): Caller | undefined
  /**
   * Whether what is about to be sent is to be dropped: the caller's time is over, and the connection is one that
   * callers have in turn, by now maybe another's. Observers are told.
   */
  isLate(session: Used): boolean
}

/** The session of a connection, as far as its users are concerned. */
interface Used {
  /** Who has it, or had it last. */
  readonly user: Caller | undefined
}

interface Entered {
  readonly caller: Caller
  /** A caller may run inside another one, as a handler that calls a handler does. */
  readonly outer: Entered | undefined
}

/** @param tellLate Is called with a caller that is late. */
export function createCallers(tellLate: (caller: Caller) => void): Callers {
  const storage = new AsyncLocalStorage<Entered>()

  const findOpen = (): Entered | undefined => {
    let entered = storage.getStore()
    while (entered?.caller.hasEnded) entered = entered.outer
    return entered
  }

  return {
    // Those that have ended are left out, or each invocation would keep the one before it.
    enter: caller => storage.enterWith({ caller, outer: findOpen() }),
    current: () => findOpen()?.caller,
    isLate(session) {
      const caller = storage.getStore()?.caller
      if (!caller?.hasEnded || session.user === undefined || findOpen() !== undefined) return false
      tellLate(caller)
      return true
    },
  }
}

/**
 * Calls a function outside of every asynchronous context: what it opens keeps no invocation's storage, and
 * its events are nobody's.
 */
export const outside: <Result>(run: () => Result) => Result = AsyncLocalStorage.snapshot()
