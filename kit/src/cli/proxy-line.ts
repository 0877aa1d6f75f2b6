import type { ProxyEvent } from '../proxy/events.ts'

/**
 * One line for each event that somebody at a terminal wants to see; names that a client chose are quoted, so
 * that a line stays a line.
 */
export function formatProxyEvent(event: ProxyEvent): string | undefined {
  switch (event.event) {
    case 'session:opened':
      return `opened ${whoOf(event)} after ${event.durationMs} ms`
    case 'session:closed':
      return `closed ${whoOf(event)} after ${(event.durationMs / 1_000).toFixed(1)} s`
    case 'client:refused':
      return `refused ${whoOf(event)}: ${oneLine(event.detail)}`
    case 'session:failed':
      return `failed ${whoOf(event)}: ${event.error.code}: ${oneLine(event.error.message)}`
    case 'connection:retried':
      return `tries again in ${event.delayMs} ms, after attempt ${event.attempt}: ${event.code}`
    case 'trust:incomplete':
      return `no certificate authorities of Amazon RDS are known for ${event.region}. ${event.remedy}`
    case 'region:assumed':
      return `DNS does not tell the Region (${oneLine(event.observed)}); ${event.region} is assumed`
    case 'region:moved':
      return `the writer has moved from ${event.from} to ${event.to}`
    default:
      return undefined
  }
}

function whoOf({ client, user, database }: { client: string; user: string; database: string }): string {
  return `${JSON.stringify(user)} to ${JSON.stringify(database)} from ${client}`
}

/** Without what would end the line, or be a command to the terminal: clients choose some of the words. */
const oneLine = (text: string): string => text.replace(/\p{Cc}+/gu, ' ')
