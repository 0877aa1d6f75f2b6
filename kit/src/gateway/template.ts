import { keepDatabaseNames, refuseArnAsId } from './database-names.ts'
import { type MergedPolicy, mergeStatements } from './merged-policy.ts'
import { type CloudFormationTemplate, isRecord, wrong } from './template-parts.ts'
import { findRole } from './template-roles.ts'
import { openTemplate, stackReader, type TemplateStack } from './template-stacks.ts'
import { mayConcernConnecting, statementsOf, type WrittenStatement } from './template-statements.ts'

export type { CloudFormationTemplate } from './template-parts.ts'
export type { TemplateStack } from './template-stacks.ts'

/**
 * Whose permissions are taken out of a template, and with which values.
 *
 * @example { region: 'eu-west-1', parameters: { DatabaseUser: 'notes_app' }, role: 'NotesFunction' }
 */
export interface TemplatePolicyOptions {
  /** The Region that the stack is in, for example `eu-west-1`. */
  readonly region: string
  /** Twelve digits. @default '123456789012', the account that SAM CLI tells functions */
  readonly accountId?: string | undefined
  /**
   * The partition of AWS that the Region belongs to, for example `aws-cn`; needed only for a Region that is
   * not known yet. @default the one that the Region's name tells, else `aws`
   */
  readonly partition?: string | undefined
  /**
   * Values of parameters, and of attributes that only a deployed stack has:
   * `{ DatabaseUser: 'notes_app', 'Database.DbiResourceId': 'db-ABCDEFGHIJKL01234' }`.
   *
   * @default {} the defaults of the template
   */
  readonly parameters?: Readonly<Record<string, string>> | undefined
  /**
   * Values of what other stacks put out: of what `Fn::ImportValue` imports by the name of the export, of what
   * `Fn::GetStackOutput` reads by stack and output, `{ 'Database/InstanceId': 'db-ABCDEFGHIJKL01234' }`.
   *
   * @default {}
   */
  readonly imports?: Readonly<Record<string, string>> | undefined
  /** Other stacks that put it out. @default [] */
  readonly stacks?: readonly TemplateStack[] | undefined
  /**
   * The logical id of the role, or of the function that has it; of a template of the CDK also without its
   * hash, or the path of the construct.
   *
   * @default the only one in the template that may connect
   */
  readonly role?: string | undefined
}

/**
 * Takes the statements that decide about `rds-db:connect` out of a CloudFormation or SAM template, so that
 * what will be deployed can be tried before.
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 *
 * const template = parseTemplate(readFileSync('template.yaml', 'utf8'))
 * const region = 'eu-west-1'
 * const resourceId = 'db-ABCDEFGHIJKL01234'
 * const document = readTemplatePolicy(template, { region, parameters: { DbiResourceId: resourceId } })
 * await startGateway({ upstream: { port: 5432 }, region, policy: { document, resourceId } })
 * ```
 * @param template As parsed JSON or YAML, with `!Ref X` as `{ Ref: 'X' }` and so on.
 * @returns The policy as IAM would have it, for the gateway's `policy.document`.
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` where a reference has no value, or nothing in the template may
 * connect, naming the place.
 */
export function readTemplatePolicy(
  template: CloudFormationTemplate,
  { region, accountId = '123456789012', partition, parameters = {}, role, ...others }: TemplatePolicyOptions,
): MergedPolicy {
  const { imports = {}, stacks = [] } = others
  refuseUnknown(parameters, template, '')
  for (const stack of stacks) refuseUnknown(stack.parameters ?? {}, stack.template, `${stack.name}: `)
  const databaseNames = keepDatabaseNames()
  const place = { region, accountId, partition }
  const reader = stackReader({ imports, stacks }, place, databaseNames)
  const opened = openTemplate(template, { ...place, parameters, databaseNames, ...reader })
  const { evaluator } = opened
  const resources = opened.template.Resources ?? {}
  const written = Object.entries(resources).flatMap(([name, resource]) =>
    statementsOf(name, resource, evaluator, resources),
  )
  const connecting = written.filter(({ statement }) => mayConcernConnecting(statement))
  const attached = written.flatMap(({ roles }) => roles)
  const wanted = role === undefined ? onlyRoleOf(connecting) : findRole(role, resources, attached)
  const chosen = connecting.filter(({ roles }) => roles.includes(wanted))
  if (chosen.length === 0) throw wrong(`Resources.${wanted}`, 'has no statement for rds-db:connect')
  return mergeStatements(
    chosen.map(({ statement, at, hasVariables }) => {
      const evaluated = evaluator.evaluate(statement, at)
      refuseArnAsId(evaluated, at)
      return { statement: evaluated, hasVariables }
    }),
  )
}

/**
 * Refuses what is no template, and values that nothing takes.
 *
 * A misspelled parameter would leave the default in force without a word. An attribute, `X.Arn`, and a dynamic
 * reference, `resolve:ssm:/x`, have none: what needs them says so.
 */
function refuseUnknown(
  parameters: Readonly<Record<string, string>>,
  template: CloudFormationTemplate,
  prefix: string,
): void {
  if (!isRecord(template) || !isRecord(template.Resources))
    throw wrong(`${prefix}Resources`, 'there are none')
  const { Parameters = {}, Resources = {} }: CloudFormationTemplate = template
  const isKnown = (name: string) => Object.hasOwn(Parameters, name) || Object.hasOwn(Resources, name)
  const unknown = Object.keys(parameters).find(name => !/[.:]/.test(name) && !isKnown(name))
  if (unknown !== undefined) throw wrong(`${prefix}Parameters`, `there is no ${unknown} to give a value to`)
}

function onlyRoleOf(statements: readonly WrittenStatement[]): string {
  const names = [...new Set(statements.flatMap(({ roles }) => roles))]
  const [name] = names
  if (name === undefined) throw wrong('Resources', 'no role has a statement for rds-db:connect')
  if (names.length > 1) throw wrong('Resources', `${names.join(' and ')} may connect: say which is meant`)
  return name
}
