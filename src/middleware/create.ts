import { type Access, createAccess } from '../access/access.ts'
import { createClientSource } from '../connection/client-source.ts'
import { createConnector } from '../connection/connector.ts'
import { createPoolSource } from '../connection/pool-source.ts'
import { closeAtShutdown } from '../connection/shutdown.ts'
import type { ConnectionSource } from '../connection/source.ts'
import { type Callers, createCallers } from '../drivers/callers.ts'
import type { Connect, CreatePool } from '../drivers/driver.ts'
import { isLambda } from '../options/environment.ts'
import { type Engine, readSettings, type Settings } from '../options/settings.ts'
import { createMiddleware, type RdsIamMiddleware } from './middleware.ts'

/** A middleware that gives each invocation a connection of its own. */
export function createClientMiddleware<Key extends string, Connection extends object, Wrapped>(
  engine: Engine,
  options: unknown,
  createConnect: (settings: Settings, callers: Callers) => Connect<Connection>,
): RdsIamMiddleware<Key, Wrapped> {
  const settings = readSettings(engine, options)
  const access = createAccess(settings)
  const callers = startCallers(access, settings)
  const connect = createConnector({ connect: createConnect(settings, callers), access, settings })
  return start(engine, settings, createClientSource({ connect, access, settings, callers }))
}

/** A middleware that gives all invocations one pool. */
export function createPoolMiddleware<Key extends string, Pool extends object, Wrapped>(
  engine: Engine,
  options: unknown,
  createOpener: (access: Access, settings: Settings, callers: Callers) => CreatePool<Pool>,
): RdsIamMiddleware<Key, Wrapped> {
  const settings = readSettings(engine, options)
  const access = createAccess(settings)
  const callers = startCallers(access, settings)
  const createPool = createOpener(access, settings, callers)
  return start(engine, settings, createPoolSource({ createPool, access, settings, callers }))
}

/** Tells invocations apart, and says where their sessions are not. */
function startCallers(access: Access, { resetSession, isResetChosen }: Settings): Callers {
  // By default it is put back everywhere else.
  if (!resetSession && !isResetChosen) access.emit({ event: 'session:not-reset', reason: 'rds-proxy' })
  return createCallers(({ id }) => access.emit({ event: 'query:refused', requestId: id }))
}

function start<Key extends string, Wrapped>(
  { factory }: Engine,
  settings: Settings,
  source: ConnectionSource<object>,
): RdsIamMiddleware<Key, Wrapped> {
  if (isLambda()) {
    if (settings.prefetch) source.prefetch()
    closeAtShutdown(source)
  }
  return createMiddleware(factory, settings, source)
}
