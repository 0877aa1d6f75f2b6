import type { Decision } from '../gateway/decision.ts'

/** One line for each decision; names that a client chose are quoted, so that a line stays a line. */
export function formatDecision({
  at,
  client,
  user,
  database,
  verdict,
  reason,
  detail,
  tls,
}: Decision): string {
  const who = `${JSON.stringify(user)} to ${JSON.stringify(database)} from ${client}`
  return `${at.toISOString()} ${verdict} ${who} (${tls?.version ?? 'no TLS'}): ${reason === undefined ? '' : `${reason}: `}${detail}`
}
