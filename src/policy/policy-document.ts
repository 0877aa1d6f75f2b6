/** The action that an authentication token is for. */
export const connectAction = 'rds-db:connect'

/** A text of a policy, and where it stands: `.Statement[0].Resource[1]`. */
export interface PolicyText {
  readonly at: string
  readonly text: string
}

/** The actions or the resources of a statement. With `Not…`, the statement is about all but these. */
export interface PolicyElement {
  readonly negated: boolean
  readonly texts: readonly PolicyText[]
}

/** A statement as it was read. A malformed part was reported, and is empty here. */
export interface PolicyStatement {
  /** For example `.Statement[0]`. */
  readonly at: string
  /** For messages: `statement 1`, or `statement "AllowOrders"` where it has a Sid. */
  readonly name: string
  readonly effect: 'Allow' | 'Deny' | undefined
  readonly actions: PolicyElement
  readonly resources: PolicyElement
  readonly condition: Readonly<Record<string, unknown>> | undefined
}

/** Whether a database user may connect, and the statement that decided; `undefined` if none did. */
export interface PolicyDecision {
  readonly allowed: boolean
  readonly statement: PolicyStatement | undefined
}

/**
 * Called for each problem with a document: its place, which is empty for the document as a whole, and a
 * clause.
 */
export type ReportPolicyProblem = (at: string, problem: string) => void

const versions = ['2012-10-17', '2008-10-17']
const documentKeys = ['Version', 'Id', 'Statement']
const statementKeys = ['Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition']
const nothing: PolicyElement = { negated: false, texts: [] }

/**
 * Reads an identity-based policy, and reports everything that IAM would reject.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 */
export function readPolicyDocument(document: unknown, report: ReportPolicyProblem): PolicyStatement[] {
  if (!isRecord(document)) {
    report('', `must be an object with Version and Statement, got ${describe(document)}`)
    return []
  }
  for (const key of Object.keys(document).filter(key => !documentKeys.includes(key)))
    report('', `has an unknown element ${key}`)
  const version = document.Version
  if (version !== undefined && !versions.includes(version as string))
    report('.Version', `must be "2012-10-17", got ${describe(version)}`)
  const isList = Array.isArray(document.Statement)
  const given: unknown[] = isList ? [...(document.Statement as unknown[])] : [document.Statement]
  const statements = given.map((statement, index) =>
    readStatement(
      statement,
      `statement ${index + 1}`,
      isList ? `.Statement[${index}]` : '.Statement',
      report,
    ),
  )
  const names = statements.map(({ name }) => name)
  for (const [index, { at, name }] of statements.entries())
    if (names.indexOf(name) < index) report(`${at}.Sid`, `is another statement's too: ${name}`)
  return statements
}

/** Decides as IAM does: a matching Deny wins, then a matching Allow, and without either the answer is no. */
export function decide(statements: readonly PolicyStatement[], arn: string): PolicyDecision {
  const matching = statements.filter(
    statement => coversConnect(statement) && isCovered(statement.resources, arn),
  )
  const statement =
    matching.find(({ effect }) => effect === 'Deny') ?? matching.find(({ effect }) => effect === 'Allow')
  return { allowed: statement?.effect === 'Allow', statement }
}

/** Says a decision in one sentence. */
export function describeDecision(decision: PolicyDecision, arn: string, policy = 'the policy'): string {
  const { allowed, statement } = decision
  if (statement === undefined) return `no statement of ${policy} allows ${connectAction} on ${arn}`
  return `${statement.name} of ${policy} ${allowed ? 'allows' : 'denies'} ${connectAction} on ${arn}`
}

/** Whether a statement is about `rds-db:connect`, whatever its resources. */
export function coversConnect({ actions }: PolicyStatement): boolean {
  // Actions are not case-sensitive, resources are.
  return actions.texts.some(({ text }) => matches(text, connectAction, 'i')) !== actions.negated
}

function isCovered({ texts, negated }: PolicyElement, arn: string): boolean {
  return texts.some(({ text }) => matches(text, arn)) !== negated
}

/**
 * Whether a text fits a pattern: `*` stands for any characters, `?` for exactly one.
 *
 * Only the last star is ever tried again. A malicious name can therefore not make matching slow, as it could
 * with a regular expression.
 */
export function matches(pattern: string, text: string, flags: 'i' | '' = ''): boolean {
  const fold = (given: string) => [...(flags === 'i' ? given.toLowerCase() : given)]
  const wanted = fold(pattern)
  const characters = fold(text)
  let [at, next] = [0, 0]
  let retry: { readonly next: number; at: number } | undefined
  while (at < characters.length) {
    if (wanted[next] === '*') {
      next += 1
      retry = { next, at }
    } else if (wanted[next] === '?' || wanted[next] === characters[at]) {
      next += 1
      at += 1
    } else if (retry !== undefined) {
      retry.at += 1
      at = retry.at
      next = retry.next
    } else {
      return false
    }
  }
  return wanted.slice(next).every(character => character === '*')
}

function readStatement(
  statement: unknown,
  number: string,
  at: string,
  report: ReportPolicyProblem,
): PolicyStatement {
  if (!isRecord(statement)) {
    report(at, `must be an object, got ${describe(statement)}`)
    const empty = { actions: nothing, resources: nothing, condition: undefined }
    return { at, name: number, effect: undefined, ...empty }
  }
  for (const key of Object.keys(statement).filter(key => !statementKeys.includes(key)))
    report(`${at}.${key}`, 'is not an element of a statement in an identity-based policy')
  const { Sid: sid, Effect: effect, Condition: condition } = statement
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html
  if (sid !== undefined && !(typeof sid === 'string' && /^[A-Za-z0-9]*$/.test(sid)))
    report(`${at}.Sid`, `must be letters and digits, got ${describe(sid)}`)
  if (effect !== 'Allow' && effect !== 'Deny')
    report(`${at}.Effect`, `must be "Allow" or "Deny", got ${describe(effect)}`)
  if (condition !== undefined && !isRecord(condition))
    report(`${at}.Condition`, `must be an object, got ${describe(condition)}`)
  const actions = readElement(statement, 'Action', at, report)
  const resources = readElement(statement, 'Resource', at, report)
  for (const { at, text } of actions.texts) {
    if (text !== '*' && !/^[\w*?-]+:[\w*?-]+$/.test(text))
      report(at, `the action ${describe(text)} must have the form "service:action", or be "*"`)
  }
  for (const { at, text } of resources.texts)
    if (text !== '*' && !text.startsWith('arn:'))
      report(at, `the resource ${describe(text)} must be an ARN, or "*"`)
  return {
    at,
    name: typeof sid === 'string' && sid !== '' ? `statement ${describe(sid)}` : number,
    effect: effect === 'Allow' || effect === 'Deny' ? effect : undefined,
    actions,
    resources,
    condition: isRecord(condition) ? condition : undefined,
  }
}

function readElement(
  statement: Readonly<Record<string, unknown>>,
  element: 'Action' | 'Resource',
  at: string,
  report: ReportPolicyProblem,
): PolicyElement {
  const negated = statement[`Not${element}`] !== undefined
  if (negated === (statement[element] !== undefined)) {
    report(at, `must have either ${element} or Not${element}`)
    return nothing
  }
  const place = `${at}.${negated ? 'Not' : ''}${element}`
  const value = negated ? statement[`Not${element}`] : statement[element]
  // A copy fills the holes of a list, so that they are reported.
  const texts: unknown[] = Array.isArray(value) ? [...value] : [value]
  if (texts.length === 0 || !texts.every(text => typeof text === 'string')) {
    report(place, `must be a text or a list of texts, got ${describe(value)}`)
    return nothing
  }
  const placeOf = (index: number) => (Array.isArray(value) ? `${place}[${index}]` : place)
  return {
    negated,
    texts: (texts as string[]).map((text, index) => ({ at: placeOf(index), text })),
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Shows a value of a policy in a message. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  try {
    return (JSON.stringify(value) ?? typeof value).slice(0, 200)
  } catch {
    // A number too big for JSON, or an object that holds itself. Neither was parsed from JSON.
    return typeof value
  }
}
