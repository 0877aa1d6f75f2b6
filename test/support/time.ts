import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mock } from 'node:test'

// Time that a test would have to wait for passes by the clock alone. Both helpers change the clock of the whole process: nothing else may
// go on beside them.

/** Runs what fails, and lets the time for connecting be over as soon as something is to be tried again. */
export async function untilTriedAgain<T>(run: () => Promise<T>): Promise<T> {
  const channel = 'middy-rds-iam:connection:retried'
  let retries = 0
  const listen = (): void => {
    retries += 1
    if (retries === 1) mock.timers.enable({ apis: ['Date'], now: Date.now() + 60_000 })
  }
  subscribe(channel, listen)
  try {
    return await run()
  } finally {
    unsubscribe(channel, listen)
    mock.timers.reset()
  }
}

/**
 * Lets the time pass that something waits for, a second in each turn of the event loop.
 *
 * @param wait What it is that waits; only the timers that it sets go faster. Middy's are not seen: see `contextWithoutDeadline`.
 * @returns What it ends with.
 */
export async function whileTimePasses<T>(wait: () => Promise<T>): Promise<T> {
  mock.timers.enable({ apis: ['setTimeout'] })
  let isOver = false
  const end = (): void => {
    isOver = true
  }
  try {
    const waiting = wait()
    waiting.then(end, end)
    while (!isOver) {
      await new Promise(resolve => setImmediate(resolve))
      mock.timers.tick(1_000)
    }
    return await waiting
  } finally {
    mock.timers.reset()
  }
}
