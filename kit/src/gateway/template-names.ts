import { partitionOf, urlSuffixOf } from 'middy-rds-iam/identifiers'
import type { DatabaseNames } from './database-names.ts'
import { type CloudFormationTemplate, wrong } from './template-parts.ts'

/** What a template's references are looked up in. */
export interface TemplateValues {
  readonly region: string
  readonly accountId: string
  /** @default the one that the Region's name tells, else `aws` */
  readonly partition?: string | undefined
  /** The name of the stack. @default 'local' */
  readonly stackName?: string | undefined
  /**
   * Parameters, attributes of resources, and dynamic references:
   * `{ DatabaseUser: 'notes_app', 'Database.DbiResourceId': 'db-ABC', 'resolve:ssm:/id': 'db-ABC' }`.
   */
  readonly parameters: Readonly<Record<string, string>>
  /** What stands in front of a parameter's name on the command line, `network/` for another stack's. */
  readonly prefix?: string | undefined
  readonly databaseNames: DatabaseNames
  /** The value of another stack's export. */
  importValue(name: string, at: string): unknown
  /** The value of another stack's output, exported or not. */
  readOutput(reference: OutputReference, at: string): unknown
}

/**
 * What `Fn::GetStackOutput` names.
 *
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html
 */
export interface OutputReference {
  readonly stack: string
  readonly output: string
  /** Whether the stack is in another Region or, by a role that is taken to read it, in another account. */
  readonly isElsewhere: boolean
}

/** What a value that is to be left out evaluates to, `!Ref AWS::NoValue`. */
export const noValue = Symbol('AWS::NoValue')

/** Looks up what `Ref`, `Fn::GetAtt` and `Fn::Sub` refer to: `Name` or `Resource.Attribute`. */
export function referenceReader(
  { Parameters = {}, Resources = {} }: CloudFormationTemplate,
  values: TemplateValues,
): (name: string, at: string) => unknown {
  // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
  const pseudo: Readonly<Record<string, unknown>> = {
    'AWS::Region': values.region,
    'AWS::AccountId': values.accountId,
    'AWS::Partition': values.partition ?? partitionOf(values.region),
    'AWS::URLSuffix': urlSuffixOf(values.region),
    'AWS::StackName': values.parameters['AWS::StackName'] ?? values.stackName ?? 'local',
    'AWS::NoValue': noValue,
  }
  const given = (name: string) =>
    Object.hasOwn(values.parameters, name) ? values.parameters[name] : undefined
  const option = (name: string) => `give its value with --parameter ${values.prefix ?? ''}${name}=…`

  const readParameter = (name: string, at: string): unknown => {
    const { Type, Default } = Parameters[name] ?? {}
    const type = String(Type)
    const value = given(name)
    // Its default, and what a stack is created with, is a name in Parameter Store.
    // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-supplied-parameter-types.html
    if (type.startsWith('AWS::SSM::Parameter::Value<')) {
      if (value === undefined) throw wrong(at, `${name} is read from ${Default} in SSM: ${option(name)}`)
      if (value === String(Default))
        throw wrong(at, `${name} is read from SSM, and ${value} is where: ${option(name)}`)
    }
    const found = value ?? Default
    if (found === undefined) throw wrong(at, `${name} is a parameter without a default: ${option(name)}`)
    return /^CommaDelimitedList$|List</.test(type)
      ? String(found)
          .split(',')
          .map(item => item.trim())
      : found
  }

  return (name, at) => {
    if (Object.hasOwn(pseudo, name)) return pseudo[name]
    if (Object.hasOwn(Parameters, name)) return readParameter(name, at)
    const ask = (): unknown => {
      const value = given(name)
      if (value === undefined) throw wrong(at, `${name} is not known: ${option(name)}`)
      return value
    }
    const [id = ''] = name.split('.')
    const resource = Object.hasOwn(Resources, id) ? Resources[id] : undefined
    return values.databaseNames.hide(name, resource, at, ask) ?? ask()
  }
}
