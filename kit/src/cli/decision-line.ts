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
  return `${at.toISOString()} ${verdict} ${who} (${tls?.version ?? 'no TLS'}): ${reason === undefined ? '' : `${reason}: `}${escapeControls(detail)}`
}

/** A detail may hold an ARN, and so the name of a user as it is. */
function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, character => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0')
    return `\\u${code}`
  })
}
