import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseTemplate } from '../kit/src/gateway/template-file.ts'

/** The checkout's own folder. */
export const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * A function in `template.yaml`, as far as something here reads it; CloudFormation's own functions stay
 * unresolved.
 */
export interface FunctionResource {
  readonly Type: 'AWS::Serverless::Function'
  readonly Condition: string
  readonly Properties: {
    readonly CodeUri: string
    readonly Handler: string
    readonly Runtime: string
    readonly Architectures: readonly unknown[]
    /** In MB. */
    readonly MemorySize: number
    /** In seconds. */
    readonly Timeout: number
    readonly Role: unknown
    readonly VpcConfig?: Readonly<Record<string, unknown>>
    readonly Environment: { readonly Variables: Readonly<Record<string, unknown>> }
  }
  readonly Metadata: {
    readonly BuildMethod: string
    readonly BuildProperties: Readonly<Record<string, boolean | string | readonly string[]>>
  }
}

/** The name of a function in `template.yaml`. */
export type FunctionName =
  | 'PostgresNotesFunction'
  | 'MysqlNotesFunction'
  | 'DatabaseUserFunction'
  | 'DatabaseUserSqlFunction'

/** Anything else that the template creates. */
export interface Resource {
  readonly Type: string
  readonly Condition?: string
  readonly DeletionPolicy?: string
  readonly UpdateReplacePolicy?: string
  readonly Properties: Readonly<Record<string, unknown>>
}

/** What must hold of the parameters: here, that some are not empty. */
export interface Rule {
  readonly RuleCondition: unknown
  readonly Assertions: readonly {
    readonly Assert: { readonly 'Fn::Not': readonly [{ readonly 'Fn::Equals': readonly unknown[] }] }
  }[]
}

export interface Template {
  readonly Parameters: Readonly<
    Record<string, { readonly Type: string; readonly Default?: unknown; readonly AllowedPattern?: string }>
  >
  readonly Rules: { readonly DatabaseIsKnown: Rule }
  /** What the database user is for, by engine. */
  readonly Mappings: {
    readonly NotesSql: Readonly<
      Record<'postgres' | 'mysql', Readonly<Record<'Setup' | 'Grants', readonly string[]>>>
    >
  }
  readonly Conditions: Readonly<Record<string, unknown>>
  readonly Resources: Readonly<Record<FunctionName, FunctionResource>> & Readonly<Record<string, Resource>>
  readonly Outputs: Readonly<Record<string, { readonly Value: unknown }>>
}

interface WrittenTemplate extends Template {
  readonly Globals: { readonly Function: Partial<FunctionResource['Properties']> }
}

/**
 * Reads a template, with `!Ref X` as `{ Ref: 'X' }` and so on, and in each function what `Globals` has for
 * all of them.
 *
 * @param file As it is written, or as `sam build` leaves it.
 */
export function readTemplate(file = join(root, 'template.yaml')): Template {
  const template = parseTemplate(readFileSync(file, 'utf8'))
  const { Globals, ...written } = template as unknown as WrittenTemplate
  const complete = (resource: Resource): Resource =>
    resource.Type === 'AWS::Serverless::Function'
      ? { ...resource, Properties: { ...Globals.Function, ...resource.Properties } }
      : resource
  const resources = Object.entries(written.Resources).map(([name, resource]) => [name, complete(resource)])
  return { ...written, Resources: Object.fromEntries(resources) as Template['Resources'] }
}
