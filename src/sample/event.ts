/**
 * What the sample functions are asked for of their database. `events/` has one of each, and one for a
 * diagnosis.
 */
export type NotesEvent = { action: 'add'; text: string } | { action: 'list' } | { action: 'whoami' }

export class InvalidEvent extends Error {
  override name = 'InvalidEvent'
}

/** Whether it is asked what stands between the function and its database. */
export function asksForDiagnosis(event: unknown): boolean {
  return (event as { action?: unknown } | undefined | null)?.action === 'diagnose'
}

/** @throws {InvalidEvent} naming what is wrong, and what it got. */
export function parseEvent(event: unknown): NotesEvent {
  const { action, text } = (event ?? {}) as { action?: unknown; text?: unknown }
  if (action === 'list' || action === 'whoami') return { action }
  if (action !== 'add') {
    throw new InvalidEvent(
      `Expected \`action\` to be "add", "diagnose", "list" or "whoami", got ${JSON.stringify(action)}`,
    )
  }
  if (typeof text !== 'string' || text.trim() === '') {
    throw new InvalidEvent(`Expected \`text\` to be a text that is not empty, got ${JSON.stringify(text)}`)
  }
  return { action, text }
}
