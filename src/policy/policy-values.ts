/** Whether a value of a policy is an object with elements. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Shows a value of a policy in a message. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  try {
    return (JSON.stringify(value) ?? typeof value).slice(0, 200)
  } catch {
    // A number too big for JSON, or an object that holds itself. Neither was parsed from JSON.
    return typeof value
  }
}
