import type { Connection as CoreConnection } from 'mysql2'
import type { Connection, Pool } from 'mysql2/promise'
import type { Settings } from '../../options/settings.ts'
import type { Driver, PoolDriver } from '../driver.ts'
import { sessionsOf, whenRestored } from '../session.ts'
import { close, isBusy, isUsable, openConnection, ping, reset, rollback } from './connection.ts'
import { closeIdle, closeLent, countsOf, openMysqlPool, pingIdle, warm } from './pool.ts'
import { isInTransaction } from './transaction.ts'

/** One connection of `mysql2/promise` for each physical connection. */
export function createMysqlDriver(settings: Settings): Driver<Connection> {
  return {
    connect: async request => (await openConnection(settings, request)).promise(),
    // The handler may have changed the user, whom nothing but a new connection brings back.
    isUsable: connection => isUsable(coreOf(connection)) && connection.config.user === settings.user,
    isBusy: connection => isBusy(coreOf(connection)),
    // The server's last message of a command is the end of it, an error too.
    whenReady: () => undefined,
    isInTransaction: connection => isInTransaction(coreOf(connection)),
    ping: connection => ping(coreOf(connection)),
    rollback: connection => rollback(coreOf(connection)),
    reset: connection => reset(coreOf(connection), settings),
    close: connection => close(coreOf(connection)),
  }
}

/** A pool of `mysql2/promise`. */
export function createMysqlPoolDriver(settings: Settings): PoolDriver<Pool> {
  return {
    open: async (tls, tokens, askerNow) => openMysqlPool(settings, tls, tokens, askerNow).promise(),
    isOpen: ({ pool }) => !countsOf(pool).isClosed,
    size: ({ pool }) => countsOf(pool).all,
    // A connection that is with the handler no more and not free yet is being taken back.
    isTaking({ pool }) {
      const { lent, waiting } = sessionsOf(pool)
      return waiting.size > 0 || countsOf(pool).inUse > lent.size
    },
    closeLent: ({ pool }) => closeLent(pool),
    whenRestored: ({ pool }) => whenRestored(pool),
    close: ({ pool }) => pool.end(() => {}),
    warm: ({ pool }, asker) => warm(pool, asker),
    pingIdle: ({ pool }, asker, silenceMs) => pingIdle(pool, settings, asker, silenceMs),
    closeIdle: ({ pool }) => closeIdle(pool, settings),
  }
}

/** The connection below the one with promises. */
function coreOf(connection: Connection): CoreConnection {
  return (connection as unknown as { connection: CoreConnection }).connection
}
