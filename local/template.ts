import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CollectionTag, parse, type ScalarTag, YAMLMap } from 'yaml'

/** The checkout's own folder. */
export const root = fileURLToPath(new URL('..', import.meta.url))

/** A function in `template.yaml`, as far as something here reads it; CloudFormation's own functions stay unresolved. */
export interface FunctionResource {
  readonly Type: 'AWS::Serverless::Function'
  readonly Condition: string
  readonly Properties: {
    readonly CodeUri: string
    readonly Handler: string
    readonly Runtime: string
    readonly Architectures: readonly string[]
    /** In MB. */
    readonly MemorySize: number
    /** In seconds. */
    readonly Timeout: number
    readonly VpcConfig: Readonly<Record<string, unknown>>
    readonly Environment: { readonly Variables: Readonly<Record<string, unknown>> }
    readonly Policies: readonly unknown[]
  }
  readonly Metadata: {
    readonly BuildMethod: string
    readonly BuildProperties: Readonly<Record<string, boolean | string | readonly string[]>>
  }
}

/** The name of a function in `template.yaml`. */
export type FunctionName = 'PostgresNotesFunction' | 'MysqlNotesFunction'

export interface Template {
  readonly Parameters: Readonly<Record<string, { readonly Type: string; readonly AllowedPattern?: string }>>
  readonly Conditions: Readonly<Record<string, unknown>>
  readonly Resources: Readonly<Record<FunctionName, FunctionResource>>
  readonly Outputs: Readonly<Record<string, { readonly Value: unknown }>>
}

interface WrittenTemplate extends Template {
  readonly Globals: { readonly Function: FunctionResource['Properties'] }
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
const ofText: ScalarTag[] = [
  { tag: '!Ref', resolve: name => ({ Ref: name }) },
  { tag: '!Sub', resolve: text => ({ 'Fn::Sub': text }) },
  { tag: '!GetAtt', resolve: path => ({ 'Fn::GetAtt': path.split('.') }) },
]
const ofList: CollectionTag[] = ['Equals', 'If', 'Sub'].map(name => ({
  tag: `!${name}`,
  collection: 'seq',
  resolve: list => {
    const map = new YAMLMap()
    map.set(`Fn::${name}`, list)
    return map
  },
}))

/** Reads `template.yaml`, with `!Ref X` as `{ Ref: 'X' }` and so on, and in each function what `Globals` has for all of them. */
export function readTemplate(): Template {
  const text = readFileSync(join(root, 'template.yaml'), 'utf8')
  const { Globals, ...written } = parse(text, { customTags: [...ofText, ...ofList] }) as WrittenTemplate
  const complete = (resource: FunctionResource): FunctionResource => ({
    ...resource,
    Properties: {
      ...Globals.Function,
      ...resource.Properties,
      Environment: {
        Variables: {
          ...Globals.Function.Environment.Variables,
          ...resource.Properties.Environment.Variables,
        },
      },
    },
  })
  const { PostgresNotesFunction, MysqlNotesFunction } = written.Resources
  const Resources = {
    PostgresNotesFunction: complete(PostgresNotesFunction),
    MysqlNotesFunction: complete(MysqlNotesFunction),
  }
  return { ...written, Resources }
}
