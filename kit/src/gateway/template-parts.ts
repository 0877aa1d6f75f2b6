import { RdsIamError } from 'middy-rds-iam'

/**
 * A CloudFormation template as parsed: `!Ref X` stands in it as `{ Ref: 'X' }`.
 *
 * @example { Parameters: { User: { Type: 'String', Default: 'orders_app' } }, Resources: {} }
 */
export interface CloudFormationTemplate {
  /** By name; `Default` counts where no value is given. */
  readonly Parameters?: Readonly<Record<string, { readonly Type?: unknown; readonly Default?: unknown }>>
  /** What `Fn::FindInMap` looks up. */
  readonly Mappings?: unknown
  /** What decides whether a resource is there. */
  readonly Conditions?: Readonly<Record<string, unknown>>
  /** Roles, policies and functions among them. */
  readonly Resources?: Readonly<Record<string, unknown>>
  /** With their exports, which other stacks import. */
  readonly Outputs?: Readonly<Record<string, unknown>>
}

/** @param at The place in the template, `Resources.NotesRole` for example. */
export function wrong(at: string, problem: string): RdsIamError {
  return new RdsIamError('RDS_IAM_OPTIONS', `The template cannot be used: ${at}: ${problem}`)
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An item, or the items of a list. */
export function asList(value: unknown): readonly unknown[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}

/** A list of as many items as a function takes. */
export function listOf(argument: unknown, length: number, at: string): readonly unknown[] {
  if (Array.isArray(argument) && argument.length === length) return argument
  throw wrong(at, `takes a list of ${length}, got ${JSON.stringify(argument)}`)
}

export function textOf(value: unknown, at: string): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  throw wrong(at, `is not a text: ${JSON.stringify(value)}`)
}

/** Applies a function to every text of a value. */
export function mapTexts(value: unknown, change: (text: string) => unknown): unknown {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) return value.map(item => mapTexts(item, change))
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, change)]))
}
