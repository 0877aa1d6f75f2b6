import { keepDatabaseNames } from './database-names.ts'
import type { TemplateEvaluator } from './intrinsics.ts'
import { type MergedPolicy, mergeStatements, type RoleStatement } from './merged-policy.ts'
import { asList, type CloudFormationTemplate, isRecord, mapTexts, wrong } from './template-parts.ts'
import { attachedRole, findRole, referredBy } from './template-roles.ts'
import { importReader, openTemplate, type TemplateStack } from './template-stacks.ts'

export type { CloudFormationTemplate } from './template-parts.ts'
export type { TemplateStack } from './template-stacks.ts'

/** Whose permissions are taken out of a template, and with which values. */
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
  /** Values of what `Fn::ImportValue` imports, by the name of the export. @default {} */
  readonly imports?: Readonly<Record<string, string>> | undefined
  /** Other stacks that export what is imported. @default [] */
  readonly stacks?: readonly TemplateStack[] | undefined
  /**
   * The logical id of the role, or of the function that has it; of a template of the CDK also without its
   * hash, or the path of the construct. Not needed where only one in the template may connect.
   */
  readonly role?: string | undefined
}

/** A statement as it is written, whose it is, and where it stands. */
interface WrittenStatement extends RoleStatement {
  readonly roles: readonly string[]
  readonly at: string
}

/**
 * Takes the statements that decide about `rds-db:connect` out of a CloudFormation or SAM template, so that
 * what will be deployed can be tried before.
 *
 * @example
 * ```ts
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
  for (const given of [{ template, parameters }, ...stacks]) {
    if (!isRecord(given.template) || !isRecord(given.template.Resources))
      throw wrong('Resources', 'there are none')
    refuseUnknown(given.parameters ?? {}, given.template)
  }
  const databaseNames = keepDatabaseNames()
  const place = { region, accountId, partition }
  const importValue = importReader({ imports, stacks }, place, databaseNames)
  const opened = openTemplate(template, { ...place, parameters, databaseNames, importValue })
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

/** The whole ARN of a proxy in place of its id matches nothing, and looks right. */
function refuseArnAsId(statement: unknown, at: string): void {
  mapTexts(statement, text => {
    const [, type = ''] = /^arn:[^:]*:rds-db:.*:dbuser:arn:[^:]*:rds:[^:]*:[^:]*:([^:/]*)/.exec(text) ?? []
    const part =
      type === 'db-proxy' ? 'the prx-… part of it, !Select [6, !Split [":", …]]' : 'its resource id'
    if (type !== '') throw wrong(at, `${text} has a whole ARN in it: take ${part}`)
    return text
  })
}

/**
 * A misspelled parameter would leave the default in force without a word. An attribute, `X.Arn`, and a dynamic
 * reference, `resolve:ssm:/x`, have none: what needs them says so.
 */
function refuseUnknown(
  parameters: Readonly<Record<string, string>>,
  { Parameters = {}, Resources = {} }: CloudFormationTemplate,
): void {
  const isKnown = (name: string) => Object.hasOwn(Parameters, name) || Object.hasOwn(Resources, name)
  const unknown = Object.keys(parameters).find(name => !/[.:]/.test(name) && !isKnown(name))
  if (unknown !== undefined) throw wrong('Parameters', `there is no ${unknown} to give a value to`)
}

function onlyRoleOf(statements: readonly WrittenStatement[]): string {
  const names = [...new Set(statements.flatMap(({ roles }) => roles))]
  const [name] = names
  if (name === undefined) throw wrong('Resources', 'no role has a statement for rds-db:connect')
  if (names.length > 1) throw wrong('Resources', `${names.join(' and ')} may connect: say which is meant`)
  return name
}

function statementsOf(
  name: string,
  resource: unknown,
  evaluator: TemplateEvaluator,
  resources: Readonly<Record<string, unknown>>,
): WrittenStatement[] {
  if (!isRecord(resource) || !isRecord(resource.Properties)) return []
  const at = `Resources.${name}`
  const { Type, Condition, Properties } = resource
  if (typeof Condition === 'string' && !evaluator.isTrue(Condition, at)) return []
  const { Policies, PolicyDocument, Roles, RoleName } = Properties
  switch (Type) {
    case 'AWS::IAM::Role':
      return itemsOf(Policies, `${at}.Policies`, evaluator).flatMap(({ item, at }) =>
        documentOf(isRecord(item) ? item.PolicyDocument : undefined, [name], at, evaluator),
      )
    // Names of managed policies and SAM's own policy templates, none of which is for
    // rds-db:connect, have no statements.
    case 'AWS::Serverless::Function':
      // SAM makes a role of the policies only where the function has none.
      if (Properties.Role !== undefined) return []
      return itemsOf(Policies, `${at}.Policies`, evaluator).flatMap(({ item, at }) =>
        documentOf(item, [name], at, evaluator),
      )
    case 'AWS::IAM::Policy':
    case 'AWS::IAM::ManagedPolicy':
    case 'AWS::IAM::RolePolicy': {
      const named = [...asList(Roles), RoleName]
        .map(role => attachedRole(role, resources))
        .filter(role => role !== undefined)
      const roles = [...new Set([...named, ...attachersOf(name, resources, evaluator)])]
      return documentOf(PolicyDocument, roles, `${at}.PolicyDocument`, evaluator)
    }
    default:
      return []
  }
}

/**
 * The roles, and the functions with a role of their own, that say themselves that a managed policy is theirs.
 */
function attachersOf(
  policy: string,
  resources: Readonly<Record<string, unknown>>,
  evaluator: TemplateEvaluator,
): string[] {
  return Object.entries(resources).flatMap(([name, resource]) => {
    const { Type, Condition, Properties } = isRecord(resource) ? resource : {}
    const property = { 'AWS::IAM::Role': 'ManagedPolicyArns', 'AWS::Serverless::Function': 'Policies' }[
      String(Type)
    ]
    if (property === undefined || !isRecord(Properties)) return []
    const at = `Resources.${name}`
    if (typeof Condition === 'string' && !evaluator.isTrue(Condition, at)) return []
    const items = itemsOf(Properties[property], `${at}.Properties.${property}`, evaluator)
    return items.some(({ item }) => referredBy(item) === policy) ? [name] : []
  })
}

function documentOf(
  given: unknown,
  roles: readonly string[],
  at: string,
  evaluator: TemplateEvaluator,
): WrittenStatement[] {
  const document = evaluator.choose(given, at)
  if (!isRecord(document)) return []
  const { Version } = document
  if (Version !== undefined && Version !== '2012-10-17' && Version !== '2008-10-17')
    throw wrong(`${at}.Version`, `must be "2012-10-17", got ${JSON.stringify(Version)}`)
  const hasVariables = Version === '2012-10-17'
  return itemsOf(document.Statement, `${at}.Statement`, evaluator).map(({ item, at }) => ({
    roles,
    statement: item,
    at,
    hasVariables,
  }))
}

/** The items of a list, or the only one, that conditions leave, and where each stands. */
function itemsOf(
  value: unknown,
  at: string,
  evaluator: TemplateEvaluator,
): readonly { readonly item: unknown; readonly at: string }[] {
  return asList(evaluator.choose(value, at))
    .map((item, index) => ({ item: evaluator.choose(item, `${at}[${index}]`), at: `${at}[${index}]` }))
    .filter(({ item }) => item !== undefined)
}

/**
 * Whether a statement can be about connecting, `Deny` too. What it is exactly, the gateway's policy decides.
 */
function mayConcernConnecting(statement: unknown): boolean {
  if (!isRecord(statement)) return false
  // Without an action, it is malformed or made by a function: neither may be passed over.
  if (statement.Action === undefined) return true
  return asList(statement.Action).some(
    action => typeof action !== 'string' || /^(rds-db:|[^:]*[*?])/i.test(action),
  )
}
