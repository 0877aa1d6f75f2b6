import { type MergedPolicy, mergeStatements } from '../gateway/merged-policy.ts'
import { asList, isRecord } from '../gateway/template-parts.ts'
import { readInput, UsageError } from './arguments.ts'

/** The policies in a file. */
export interface PolicyFile {
  /** Parsed JSON. */
  readonly documents: readonly unknown[]
  /** What the file says and the policies do not. */
  readonly notes: readonly string[]
}

const hintOfTemplate = 'is a template of CloudFormation: give it with --template'
const hintOfPolicy = 'is an IAM policy and no template: give it as a policy, without --template'

/**
 * Reads a policy as IAM takes it, as the API gives it (URL-encoded), as the AWS CLI prints it
 * (`get-role-policy`, `get-policy-version`, `get-account-authorization-details`), or as a JSON string, as
 * Terraform puts it out.
 *
 * @param name For errors: the flag and the path.
 * @param role The role that is meant, where the file has those of an account.
 */
export function readPolicyFile(name: string, path: string, role?: string): PolicyFile {
  return readInput(name, path, text => {
    const found = parseJson(text)
    if (isRecord(found) && Array.isArray(found.RoleDetailList))
      return readAccount(found.RoleDetailList, asList(found.Policies), role)
    if (role !== undefined) throw new Error('has no roles, of which --role would choose one')
    return { documents: [unwrap(found)], notes: [] }
  })
}

/** One policy that decides as all of the file do together. */
export function mergePolicies(documents: readonly unknown[]): unknown | MergedPolicy {
  if (documents.length === 1) return documents[0]
  return mergeStatements(
    documents.flatMap(document => {
      const { Version, Statement } = isRecord(document) ? document : { Statement: document }
      return asList(Statement).map(statement => ({ statement, hasVariables: Version === '2012-10-17' }))
    }),
  )
}

/** Refuses what was given for a template and is none, a policy for example. */
export function refuseNoTemplate(name: string, template: unknown): void {
  const isPolicy =
    isRecord(template) &&
    template.Resources === undefined &&
    /^(Statement|Policy(Document|Version))$/m.test(Object.keys(template).join('\n'))
  if (isPolicy) throw new UsageError(`${name}: ${hintOfPolicy}`)
  if (!isRecord(template) || !isRecord(template.Resources))
    throw new UsageError(`${name}: has no Resources, and so is no template of CloudFormation`)
}

function unwrap(found: unknown): unknown {
  // Any other text is no policy, which whoever looks at it says.
  if (typeof found === 'string') return /^\s*(\{|%7B)/i.test(found) ? unwrap(parseJson(found)) : found
  if (!isRecord(found)) return found
  const { PolicyDocument, PolicyVersion, Policy, Role } = found
  if (PolicyDocument !== undefined) return unwrap(PolicyDocument)
  if (isRecord(PolicyVersion)) return unwrap(PolicyVersion.Document)
  if (isRecord(Policy))
    throw new Error('has no document of the policy: `aws iam get-policy-version` prints it')
  if (isRecord(Role))
    throw new Error(
      'has the policy that says who may take the role: `aws iam get-role-policy` prints what the role may do',
    )
  if (found.Resources !== undefined || found.AWSTemplateFormatVersion !== undefined)
    throw new Error(hintOfTemplate)
  return found
}

/** The policies of one role, out of what `aws iam get-account-authorization-details` prints. */
function readAccount(
  roles: readonly unknown[],
  policies: readonly unknown[],
  name: string | undefined,
): PolicyFile {
  const names = roles.flatMap(role => (isRecord(role) ? [String(role.RoleName)] : []))
  if (name === undefined && names.length !== 1)
    throw new Error(`has the roles ${names.join(', ')}: say which is meant with --role`)
  const role = roles.find(role => isRecord(role) && role.RoleName === (name ?? names[0]))
  if (!isRecord(role)) throw new Error(`has no role ${name}; there is ${names.join(', ')}`)
  const inline = asList(role.RolePolicyList).map(policy => unwrap(policy))
  const managed = asList(role.AttachedManagedPolicies).map(attached => {
    const arn = isRecord(attached) ? attached.PolicyArn : undefined
    const policy = policies.find(policy => isRecord(policy) && policy.Arn === arn)
    const versions = isRecord(policy) ? asList(policy.PolicyVersionList) : []
    const version = versions.find(version => isRecord(version) && version.IsDefaultVersion === true)
    if (!isRecord(version))
      throw new Error(`the role has the policy ${arn}, which is not in it: print it without --filter`)
    return unwrap(version.Document)
  })
  const { PermissionsBoundary: boundary } = role
  const notes = isRecord(boundary)
    ? [`the role has a permissions boundary, ${boundary.PermissionsBoundaryArn}, which may still deny`]
    : []
  return { documents: [...inline, ...managed], notes }
}

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html: as RFC 3986 has it. */
function decodeUrl(text: string): string {
  return /^\s*%(7B|22)/i.test(text) ? decodeURIComponent(text.trim()) : text
}

function parseJson(text: string): unknown {
  let found: unknown
  try {
    const decoded = decodeUrl(text)
    found = JSON.parse(decoded)
    const twice = findTwice(decoded)
    if (twice !== undefined)
      throw new Error(`has ${JSON.stringify(twice)} twice in one object, which IAM does not take`)
  } catch (error) {
    if (/^(AWSTemplateFormatVersion|Transform|Resources):/m.test(text)) throw new Error(hintOfTemplate)
    throw error
  }
  return found
}

/** The first name that an object of a JSON text has twice. `JSON.parse` takes the last one without a word. */
function findTwice(json: string): string | undefined {
  const objects: (Set<string> | undefined)[] = []
  for (const [token, key] of json.matchAll(/("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (token === '{') objects.push(new Set())
    else if (token === '[') objects.push(undefined)
    else if (token === '}' || token === ']') objects.pop()
    if (key === undefined) continue
    const name = String(JSON.parse(key))
    const names = objects.at(-1)
    if (names?.has(name)) return name
    names?.add(name)
  }
  return undefined
}
