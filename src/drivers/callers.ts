import { AsyncLocalStorage } from 'node:async_hooks'

/** Whoever uses connections for a time: an invocation of the function. */
export interface Caller {
  /** As the log knows it, for example Lambda's request id. */
  readonly id: string | undefined
  /** Whether its time is over: what it still sends meets the connections of others. */
  hasEnded: boolean
  /** Whether somebody else ended it. It may still wait for its queries, and hears that they failed. */
  wasCutOff: boolean
}

/** Tells by the asynchronous context whose code is running. */
export interface Callers {
  /** Has all that follows in this asynchronous context belong to a caller. */
  enter(caller: Caller): void
  /** Whose code is running; `undefined` where nobody knows, or where it has ended. */
  current(): Caller | undefined
  /** Whether the code that is running belongs to a caller, or to one that runs inside it. */
  isWithin(caller: Caller): boolean
  /**
   * Whether what is about to be sent is to be dropped, because the connection is another caller's by now, or
   * soon may be. Observers are told.
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
  outer: Entered | undefined
}

/** @param tellLate Is called with a caller that is late. */
export function createCallers(tellLate: (caller: Caller) => void): Callers {
  const storage = new AsyncLocalStorage<Entered>()

  const findOpen = (): Entered | undefined => {
    const entered = storage.getStore()
    if (entered === undefined) return undefined
    // Or each would keep the one before it, where one never ended in time.
    while (entered.outer?.caller.hasEnded) entered.outer = entered.outer.outer
    return entered.caller.hasEnded ? entered.outer : entered
  }

  const isWithin = (caller: Caller): boolean => {
    for (let entered = findOpen(); entered !== undefined; entered = entered.outer)
      if (entered.caller === caller) return true
    return false
  }

  return {
    enter: caller => storage.enterWith({ caller, outer: findOpen() }),
    current: () => findOpen()?.caller,
    isWithin,
    isLate({ user }) {
      const caller = storage.getStore()?.caller
      if (caller === undefined || user === undefined || isWithin(user)) return false
      // Somebody who is not late has what nobody else has.
      if (user.hasEnded && findOpen() !== undefined) return false
      if (user === caller && caller.wasCutOff) return false
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
