import type { Connection as CoreConnection } from 'mysql2'
import type { Connection } from 'mysql2/promise'
import type { Callers } from '../callers.ts'
import type { Connect } from '../driver.ts'
import { beginsTransaction, warnOfSharedTransaction } from '../shared-transaction.ts'
import { type ClientSettings, openConnection } from './connection.ts'
import { runningSql } from './internals.ts'
import { sessionOf } from './session.ts'

/** One connection of `mysql2/promise` for each physical connection. */
export function createMysqlConnect(settings: ClientSettings, callers?: Callers): Connect<Connection> {
  return async request => {
    const core = await openConnection(settings, request, callers)
    watchCallers(core)
    return { connection: core.promise(), session: sessionOf(core) }
  }
}

/** An invocation has one connection for all its callers. Whoever does not wait for a BEGIN is another caller. */
function watchCallers(core: CoreConnection): void {
  for (const name of ['query', 'execute'] as const) {
    const run = core[name].bind(core) as (...given: readonly unknown[]) => unknown
    const watched = (...given: readonly unknown[]): unknown => {
      if (beginsTransaction(runningSql(core))) warnOfSharedTransaction('iamMysqlPool')
      return run(...given)
    }
    core[name] = watched as CoreConnection['query'] & CoreConnection['execute']
  }
}
