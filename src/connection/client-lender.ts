import { withDeadline } from '../deadline.ts'
import { diagnose } from '../diagnosis.ts'
import type { Driver } from '../drivers/driver.ts'
import { attemptOf, type Settings } from '../settings.ts'
import { type Connector, noTimeLeft } from './connector.ts'
import { connectDeadline, type Invocation, initialisation } from './invocation.ts'
import { answerTimeoutMs, isQuiet, type Lease, type Lender, settle, silenceMs } from './lender.ts'

interface Held<Connection> {
  readonly connection: Connection
  lastUsedMs: number
}

interface ClientLease<Connection> extends Lease<Connection> {
  readonly held: Held<Connection>
  readonly invocation: Invocation
}

/** Lends each invocation a connection of its own, and keeps it for the next one. */
export function createClientLender<Connection>(
  driver: Driver<Connection>,
  connect: Connector<Connection>,
  settings: Settings,
): Lender<Connection> {
  const { logger, max, oneAtATime, pingAfterIdleMs, resetSession } = settings
  const idle: Held<Connection>[] = []
  const lent = new Set<ClientLease<Connection>>()
  const waiting: (() => void)[] = []
  // All there are: idle, lent, being looked at or tidied up, and on their way.
  let total = 0
  let prefetching: Promise<void> | undefined

  const open = async (deadlineMs: number, account: string | undefined): Promise<Held<Connection>> => {
    total += 1
    try {
      return { connection: await connect(deadlineMs, account), lastUsedMs: Date.now() }
    } catch (error) {
      forget()
      throw error
    }
  }

  /** There is room for another one. */
  const forget = (): void => {
    total -= 1
    waiting.shift()?.()
  }

  const lease = (held: Held<Connection>, invocation: Invocation): ClientLease<Connection> => {
    const lease = { connection: held.connection, held, invocation }
    lent.add(lease)
    return lease
  }

  const keep = (held: Held<Connection>): void => {
    held.lastUsedMs = Date.now()
    idle.push(held)
    waiting.shift()?.()
  }

  const discard = ({ connection }: Held<Connection>, reason: string): void => {
    logger?.debug('Database connection closed', { host: settings.host, reason })
    driver.close(connection)
    forget()
  }

  /** Why a connection that was kept cannot be lent, or nothing. */
  const findDeath = async ({ connection, lastUsedMs }: Held<Connection>): Promise<string | undefined> => {
    await settle()
    if (!driver.isUsable(connection)) return 'it was lost between invocations'
    if (silenceMs(lastUsedMs) < pingAfterIdleMs) return undefined
    return withDeadline(driver.ping(connection), answerTimeoutMs, () => new Error('no answer')).then(
      () => undefined,
      () => 'it did not answer after a silence',
    )
  }

  const takeIdle = async (): Promise<Held<Connection> | undefined> => {
    for (let held = idle.pop(); held !== undefined; held = idle.pop()) {
      const death = await findDeath(held)
      if (death === undefined) return held
      discard(held, death)
    }
    return undefined
  }

  /** Neither `after` nor `onError` of an earlier invocation need have run. */
  const reclaim = async ({ id }: Invocation): Promise<void> => {
    for (const lease of lent) {
      const isOver = lease.invocation.deadlineMs < Date.now() || (oneAtATime && lease.invocation.id !== id)
      if (isOver) await giveBack(lease)
    }
  }

  const lendSlowly = async (invocation: Invocation): Promise<Lease<Connection>> => {
    const deadlineMs = connectDeadline(invocation, settings.connectTimeoutMs)
    const late = () =>
      diagnose(noTimeLeft(settings.connectTimeoutMs), attemptOf(settings, invocation.account))
    for (;;) {
      if (lent.size > 0) await reclaim(invocation)
      const held = await takeIdle()
      if (held !== undefined) return lease(held, invocation)
      if (prefetching !== undefined) {
        await withDeadline(prefetching, deadlineMs - Date.now(), late)
      } else if (total < max) {
        return lease(await open(deadlineMs, invocation.account), invocation)
      } else if (idle.length === 0) {
        await waitForOne(deadlineMs, invocation)
      }
    }
  }

  const waitForOne = async (deadlineMs: number, { account }: Invocation): Promise<void> => {
    let wake = () => {}
    const woken = new Promise<void>(resolve => {
      wake = resolve
    })
    waiting.push(wake)
    const inUse = () =>
      diagnose(new Error(`all connections are in use (max is ${max})`), attemptOf(settings, account))
    await withDeadline(woken, deadlineMs - Date.now(), inUse).finally(() => {
      const position = waiting.indexOf(wake)
      if (position >= 0) waiting.splice(position, 1)
    })
  }

  const tidy = async (held: Held<Connection>): Promise<void> => {
    const { connection } = held
    const late = () => new Error('no answer')
    try {
      if (driver.isInTransaction(connection)) {
        logger?.warn('The handler left a transaction open; it is rolled back', { host: settings.host })
        await withDeadline(driver.rollback(connection), answerTimeoutMs, late)
      }
      if (resetSession) await withDeadline(driver.reset(connection), answerTimeoutMs, late)
    } catch {
      return discard(held, 'its session could not be put back')
    }
    keep(held)
  }

  const giveBack = (given: Lease<Connection>): void | Promise<void> => {
    const lease = given as ClientLease<Connection>
    if (!lent.delete(lease)) return
    const { held } = lease
    if (!driver.isUsable(held.connection)) return discard(held, 'it was lost or ended during the invocation')
    if (driver.isBusy(held.connection)) {
      logger?.warn('The handler left a query running; the connection is closed', { host: settings.host })
      return discard(held, 'a query was still running')
    }
    if (resetSession || driver.isInTransaction(held.connection)) return tidy(held)
    keep(held)
  }

  return {
    prefetch() {
      const deadlineMs = connectDeadline(initialisation, settings.connectTimeoutMs)
      prefetching = open(deadlineMs, undefined)
        .then(keep, error => logger?.debug('Connecting ahead failed', { error }))
        .finally(() => {
          prefetching = undefined
        })
    },
    lend(invocation) {
      const held = idle.at(-1)
      if (
        held === undefined ||
        lent.size > 0 ||
        isQuiet(held.lastUsedMs, pingAfterIdleMs) ||
        !driver.isUsable(held.connection)
      ) {
        return lendSlowly(invocation)
      }
      idle.pop()
      return lease(held, invocation)
    },
    giveBack,
  }
}
