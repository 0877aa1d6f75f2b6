import { partitionOf } from '../endpoint.ts'

/** An IAM policy, and what database it is evaluated for. */
export interface GatewayPolicy {
  /** The identity-based policy, as parsed JSON: `{ Version: '2012-10-17', Statement: [...] }`. */
  readonly document: unknown
  /** The database's DbiResourceId, for example `db-ABCDEFGHIJKL01234`, `cluster-…` or `prx-…`. */
  readonly resourceId: string
  /** Twelve digits. @default '123456789012', the account that SAM CLI tells functions */
  readonly accountId?: string | undefined
}

/** Whether a database user may connect, and the sentence for the decision log. */
export type PolicyEvaluation = { readonly allowed: boolean; readonly detail: string }

interface Statement {
  readonly name: string
  readonly effect: 'Allow' | 'Deny'
  readonly coversAction: boolean
  readonly covers: (arn: string) => boolean
}

const action = 'rds-db:connect'
const versions = ['2012-10-17', '2008-10-17']
const statementKeys = new Set([
  'Sid',
  'Effect',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
])
const documentKeys = new Set(['Version', 'Id', 'Statement'])

/**
 * Reads a policy once and gives a function that evaluates it for a user as IAM does: a matching Deny wins, then a
 * matching Allow, and without either the answer is no.
 *
 * @param report Called with everything that is wrong with the document, saying where.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
 */
export function readPolicy(
  policy: GatewayPolicy,
  region: string,
  report: (problem: string) => void,
): (user: string) => PolicyEvaluation {
  const statements = readDocument(policy.document, report)
  const account = policy.accountId ?? '123456789012'
  const database = `arn:${partitionOf(region)}:rds-db:${region}:${account}:dbuser:${policy.resourceId}`
  return user => {
    const arn = `${database}/${user}`
    const matching = statements.filter(statement => statement.coversAction && statement.covers(arn))
    const denied = matching.find(statement => statement.effect === 'Deny')
    if (denied !== undefined)
      return { allowed: false, detail: `${denied.name} of the policy denies ${action} on ${arn}` }
    const allowed = matching[0]
    return allowed === undefined
      ? { allowed: false, detail: `no statement of the policy allows ${action} on ${arn}` }
      : { allowed: true, detail: `${allowed.name} of the policy allows ${action} on ${arn}` }
  }
}

function readDocument(document: unknown, report: (problem: string) => void): Statement[] {
  if (!isRecord(document)) {
    report(`must be an object with Version and Statement, got ${describe(document)}`)
    return []
  }
  for (const key of Object.keys(document).filter(key => !documentKeys.has(key)))
    report(`has an unknown element ${key}`)
  const version = document.Version
  if (version !== undefined && !versions.includes(version as string)) {
    report(`.Version must be "2012-10-17", got ${describe(version)}`)
  }
  const given = Array.isArray(document.Statement) ? document.Statement : [document.Statement]
  return given.map((statement: unknown, index) =>
    readStatement(
      statement,
      index,
      Array.isArray(document.Statement) ? `.Statement[${index}]` : '.Statement',
      report,
    ),
  )
}

function readStatement(
  statement: unknown,
  index: number,
  at: string,
  report: (problem: string) => void,
): Statement {
  const nothing: Statement = {
    name: `statement ${index + 1}`,
    effect: 'Deny',
    coversAction: false,
    covers: () => false,
  }
  if (!isRecord(statement)) {
    report(`${at} must be an object, got ${describe(statement)}`)
    return nothing
  }
  for (const key of Object.keys(statement).filter(key => !statementKeys.has(key))) {
    report(`${at}.${key} is not an element of a statement in an identity-based policy`)
  }
  const effect = statement.Effect
  if (effect !== 'Allow' && effect !== 'Deny')
    report(`${at}.Effect must be "Allow" or "Deny", got ${describe(effect)}`)
  // Better no start than an answer that IAM would not give.
  if (statement.Condition !== undefined)
    report(`${at}.Condition is not supported: the gateway evaluates none`)
  const [actions, notAction] = readEither(statement, 'Action', at, report)
  const [resources, notResource] = readEither(statement, 'Resource', at, report)
  for (const text of actions) {
    if (text !== '*' && !/^[\w*?-]+:[\w*?-]+$/.test(text)) {
      report(`${at}: the action ${describe(text)} must have the form "service:action", or be "*"`)
    }
  }
  for (const text of resources) {
    if (text !== '*' && !text.startsWith('arn:'))
      report(`${at}: the resource ${describe(text)} must be an ARN, or "*"`)
    if (text.includes('$' + '{'))
      report(
        `${at}: the resource ${describe(text)} has a policy variable; the gateway has no values for them`,
      )
  }
  const actionMatches = actions.some(text => wildcard(text, 'i').test(action))
  const patterns = resources.map(text => wildcard(text))
  return {
    name: typeof statement.Sid === 'string' ? `statement ${describe(statement.Sid)}` : nothing.name,
    effect: effect === 'Allow' ? 'Allow' : 'Deny',
    coversAction: actionMatches !== notAction,
    covers: arn => patterns.some(pattern => pattern.test(arn)) !== notResource,
  }
}

/** The texts of `Action` or `NotAction` (or of the resources), and whether it was the one with `Not`. */
function readEither(
  statement: Readonly<Record<string, unknown>>,
  element: 'Action' | 'Resource',
  at: string,
  report: (problem: string) => void,
): [texts: string[], negated: boolean] {
  const negated = statement[`Not${element}`] !== undefined
  if (negated === (statement[element] !== undefined)) {
    report(`${at} must have either ${element} or Not${element}`)
    return [[], false]
  }
  const value = negated ? statement[`Not${element}`] : statement[element]
  const texts: unknown[] = Array.isArray(value) ? value : [value]
  if (texts.length === 0 || !texts.every(text => typeof text === 'string')) {
    report(
      `${at}.${negated ? 'Not' : ''}${element} must be a text or a list of texts, got ${describe(value)}`,
    )
    return [[], false]
  }
  return [texts as string[], negated]
}

/** `*` stands for any characters, `?` for exactly one; resources are case-sensitive, actions are not. */
function wildcard(text: string, flags = ''): RegExp {
  const source = text
    .replace(/[.+^$()|[\]{}\\/]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replace(/\?/g, '.')
  return new RegExp(`^${source}$`, `su${flags}`)
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  return (JSON.stringify(value) ?? typeof value).slice(0, 200)
}
