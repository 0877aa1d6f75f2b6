/** What the sample functions are asked for. `events/` has one of each. */
export type NotesEvent = { action: 'add'; text: string } | { action: 'list' } | { action: 'whoami' }

export class InvalidEvent extends Error {
  override name = 'InvalidEvent'
}

/** @throws {InvalidEvent} naming what is wrong, and what it got. */
export function parseEvent(event: unknown): NotesEvent {
  const { action, text } = (event ?? {}) as { action?: unknown; text?: unknown }
  if (action === 'list' || action === 'whoami') return { action }
  if (action !== 'add') {
    throw new InvalidEvent(
      `Expected \`action\` to be "add", "list" or "whoami", got ${JSON.stringify(action)}`,
    )
  }
  if (typeof text !== 'string' || text.trim() === '') {
    throw new InvalidEvent(`Expected \`text\` to be a text that is not empty, got ${JSON.stringify(text)}`)
  }
  return { action, text }
}
