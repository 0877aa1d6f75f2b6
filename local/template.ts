import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, type ScalarTag } from 'yaml'

/** The checkout's own folder. */
export const root = fileURLToPath(new URL('..', import.meta.url))

/** A function in `template.yaml`, as far as something here reads it; CloudFormation's own functions stay unresolved. */
export interface FunctionResource {
  readonly Type: 'AWS::Serverless::Function'
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

export interface Template {
  readonly Parameters: Readonly<Record<string, { readonly Type: string; readonly AllowedPattern?: string }>>
  readonly Resources: { readonly NotesFunction: FunctionResource }
  readonly Outputs: Readonly<Record<string, { readonly Value: unknown }>>
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
const shortForms: ScalarTag[] = [
  { tag: '!Ref', resolve: name => ({ Ref: name }) },
  { tag: '!Sub', resolve: text => ({ 'Fn::Sub': text }) },
  { tag: '!GetAtt', resolve: path => ({ 'Fn::GetAtt': path.split('.') }) },
]

/** Reads `template.yaml`, with `!Ref X` as `{ Ref: 'X' }` and so on. */
export function readTemplate(): Template {
  return parse(readFileSync(join(root, 'template.yaml'), 'utf8'), { customTags: shortForms }) as Template
}
