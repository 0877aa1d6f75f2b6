import type { TemplateEvaluator } from './intrinsics.ts'
import type { RoleStatement } from './merged-policy.ts'
import { asList, isRecord, wrong } from './template-parts.ts'
import { attachedRole, referredBy } from './template-roles.ts'

/** A statement as it is written, whose it is, and where it stands. */
export interface WrittenStatement extends RoleStatement {
  readonly roles: readonly string[]
  readonly at: string
}

/** The statements of all policies that a resource has or is. */
export function statementsOf(
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
export function mayConcernConnecting(statement: unknown): boolean {
  if (!isRecord(statement)) return false
  // Without an action, it is malformed or made by a function: neither may be passed over.
  if (statement.Action === undefined) return true
  return asList(statement.Action).some(
    action => typeof action !== 'string' || /^(rds-db:|[^:]*[*?])/i.test(action),
  )
}
