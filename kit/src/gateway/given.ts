import type { Checks } from 'middy-rds-iam/options'

/** Options as somebody wrote them, right or wrong. */
export type Given = Readonly<Record<string, unknown>>

/** Reads a port. Not by `checks.port`, which takes texts too, as environment variables have them. */
export function readPort(checks: Checks, name: string, value: unknown): number {
  if (value === undefined) checks.complain(name, 'is missing')
  return checks.integer(name, value, { fallback: 0, min: 1, max: 65_535 })
}
