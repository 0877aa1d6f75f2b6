import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { RdsIamEvent } from '../../src/index.ts'
import { recordingLogger } from './lambda.ts'

/** Every channel there is. */
export const channelNames = [
  'connection:opened',
  'connection:checked',
  'connection:closed',
  'connection:retried',
  'connection:failed',
  'connection:read-only',
  'transaction:rolled-back',
  'token:signed',
  'trust:incomplete',
  'region:assumed',
  'region:moved',
] as const satisfies readonly RdsIamEvent['event'][]

/** Metrics that keep what is added. */
export function recordingMetrics() {
  const added: (readonly [name: string, unit: string, value: number])[] = []
  return {
    added,
    addMetric: (name: string, unit: string, value: number) => void added.push([name, unit, value]),
  }
}

/** Listens in the log, on the channels and in the metrics to what happens to the connections to one port. */
export function recordObservers(port: number) {
  const logger = recordingLogger()
  const metrics = recordingMetrics()
  const messages: { readonly channel: string; readonly message: RdsIamEvent }[] = []
  const listeners = channelNames.map(name => {
    const channel = `middy-rds-iam:${name}`
    const listen = (message: unknown) => {
      if ((message as RdsIamEvent).port === port) messages.push({ channel, message: message as RdsIamEvent })
    }
    subscribe(channel, listen)
    return () => void unsubscribe(channel, listen)
  })
  return {
    logger,
    metrics,
    messages,
    stop: () => {
      for (const stop of listeners) stop()
    },
  }
}
