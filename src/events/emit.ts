import { type Channel, channel } from 'node:diagnostics_channel'
import type { ConnectionClosedReason, DatabaseEvent, RdsIamEvent } from './events.ts'
import type { Observers, RdsIamLogger, RdsIamMetrics } from './observers.ts'

/** An event without the database that it is about. */
export type EventDetail<Event = RdsIamEvent> = Event extends RdsIamEvent
  ? Omit<Event, keyof DatabaseEvent>
  : never

const channels: Readonly<Record<RdsIamEvent['event'], Channel>> = {
  'connection:opened': channel('middy-rds-iam:connection:opened'),
  'connection:checked': channel('middy-rds-iam:connection:checked'),
  'connection:closed': channel('middy-rds-iam:connection:closed'),
  'connection:retried': channel('middy-rds-iam:connection:retried'),
  'connection:failed': channel('middy-rds-iam:connection:failed'),
  'connection:read-only': channel('middy-rds-iam:connection:read-only'),
  'transaction:rolled-back': channel('middy-rds-iam:transaction:rolled-back'),
  'session:not-reset': channel('middy-rds-iam:session:not-reset'),
  'query:refused': channel('middy-rds-iam:query:refused'),
  'token:signed': channel('middy-rds-iam:token:signed'),
  'trust:incomplete': channel('middy-rds-iam:trust:incomplete'),
  'region:assumed': channel('middy-rds-iam:region:assumed'),
  'region:moved': channel('middy-rds-iam:region:moved'),
}

/**
 * Tells the observers and the subscribers of an event. Never throws: the logger and the metrics were wrapped
 * with the options, and what a subscriber throws, Node reports as an uncaught exception of its own, after
 * this has returned.
 */
export function emit(about: DatabaseEvent & Observers, detail: EventDetail): void {
  const { logger, metrics, host, port, database, user } = about
  if (metrics !== undefined) addMetrics(metrics, detail)
  const published = channels[detail.event]
  if (logger === undefined && !published.hasSubscribers) return
  const { event: name, ...fields } = detail
  const event = { event: name, host, port, database, user, ...fields } as RdsIamEvent
  if (logger !== undefined) log(logger, event)
  if (published.hasSubscribers) published.publish(event)
}

const mistakes: Readonly<Partial<Record<ConnectionClosedReason, string>>> = {
  'query-running': 'The handler left a query running; the connection is closed',
  'not-released': 'The handler did not release every connection of the pool; they are closed',
  'cut-off': 'The handler was cut off; its connections are closed',
}

const freshTokenRefused =
  "The server refused a fresh authentication token, and is asked again. Check the role's policy (rds-db:connect on the database's " +
  'resource id and user) and that IAM authentication is enabled; many new connections at once are refused in the same words'

const proxyNotReset =
  'Session state crosses from one invocation to the next: to put it back would pin the sessions of RDS Proxy. `resetSession` says ' +
  'otherwise'

const serverCannotReset =
  'Session state crosses from one invocation to the next: the server cannot put it back. `resetSession: true` opens another ' +
  'connection instead'

const lateQuery =
  'A query was not run: its invocation has ended, or the connection is another one’s by now. Await what you start, and do not use what ' +
  'you released'
const noWriter =
  'The database takes no writes: no writer was found in time, and a connection to a reader is lent. If that is wanted, set ' +
  "`targetSessionAttrs` to 'any'"

function log(logger: RdsIamLogger, event: RdsIamEvent): void {
  const [level, message] = describe(event)
  logger[level](message, event as unknown as Record<string, unknown>)
}

function describe(event: RdsIamEvent): readonly [level: 'debug' | 'info' | 'warn', message: string] {
  switch (event.event) {
    case 'connection:opened':
      return ['debug', 'Database connection opened']
    case 'connection:checked':
      return ['debug', 'Database connection checked by a ping']
    case 'connection:closed': {
      const mistake = mistakes[event.reason]
      return mistake === undefined ? ['debug', 'Database connection closed'] : ['warn', mistake]
    }
    case 'connection:retried':
      // Nobody should wait for the last attempt to learn of a wrong policy; the refusals that follow tell
      // nothing more.
      return event.refusals === 1 && event.code === 'RDS_IAM_ACCESS_DENIED'
        ? ['warn', freshTokenRefused]
        : ['debug', 'Connecting to the database failed, and is tried again']
    case 'connection:failed':
      return ['warn', 'Connecting to the database failed']
    case 'connection:read-only':
      return ['warn', noWriter]
    case 'transaction:rolled-back':
      return ['warn', 'The handler left a transaction open; it is rolled back']
    case 'session:not-reset':
      return ['info', event.reason === 'rds-proxy' ? proxyNotReset : serverCannotReset]
    case 'query:refused':
      return ['warn', lateQuery]
    case 'token:signed':
      return ['debug', 'Authentication token signed']
    case 'trust:incomplete':
      return ['warn', 'No certificate authorities of Amazon RDS are known for the Region']
    case 'region:assumed':
      return ['warn', 'DNS does not tell the Region of the global database, which is assumed']
    case 'region:moved':
      return ['warn', 'The writer of the global database has moved to another Region']
  }
}

function addMetrics(metrics: RdsIamMetrics, detail: EventDetail): void {
  const { event } = detail
  if (event === 'connection:opened') {
    metrics.addMetric('DatabaseConnectionsOpened', 'Count', 1)
    metrics.addMetric('DatabaseConnectDuration', 'Milliseconds', detail.durationMs)
  }
  if (event === 'connection:closed' && detail.reason !== 'shutdown')
    metrics.addMetric('DatabaseConnectionsReplaced', 'Count', detail.connections)
  if (event === 'connection:retried') metrics.addMetric('DatabaseConnectRetries', 'Count', 1)
  if (event === 'connection:retried' || event === 'connection:failed') {
    if (detail.code === 'RDS_IAM_ACCESS_DENIED') metrics.addMetric('DatabaseConnectRefusals', 'Count', 1)
  }
}
