import { isRecord, wrong } from './template-parts.ts'

type Resources = Readonly<Record<string, unknown>>

const withRole = /^AWS::(?:IAM::Role|Lambda::Function|Serverless::Function)$/

/**
 * Finds the role that is meant: by the logical id of the role or of the function that has it, by an id of the
 * CDK without its hash, by the path of a construct, by the beginning of one of these, or
 * by the name that the role gets.
 *
 * @param others Names of roles that policies of the template are attached to and that are not in it.
 * @returns The logical id of the role, or of the function whose role SAM makes.
 * @throws {RdsIamError} where there is none, or where several could be meant, with all of them.
 */
export function findRole(wanted: string, resources: Resources, others: readonly string[]): string {
  const name = wanted.replace(/\/Resource$/, '')
  const named = attachedRole(name, resources) ?? name
  if (Object.hasOwn(resources, named)) return roleOf(named, resources)
  if (others.includes(name)) return name
  const ids = Object.keys(resources).filter(id => withRole.test(typeOf(resources[id])))
  const pathOf = (id: string) => constructPathOf(resources[id])
  // The CDK puts eight hexadecimal digits behind, and calls what CloudFormation sees Resource.
  const isHashOf = (id: string) => id.slice(0, -8) === name && /[0-9A-F]{8}$/.test(id)
  const isPath = (path: string) => path === name || path.endsWith(`/${name}`)
  const found = [
    isHashOf,
    (id: string) => isPath(pathOf(id)),
    (id: string) => startsWith(id, pathOf(id), name),
  ]
    .map(fits => ids.filter(fits))
    .find(ids => ids.length > 0)
  const roles = [...new Set(found?.map(id => roleOf(id, resources)))]
  const [role] = roles
  if (role !== undefined && roles.length === 1) return role
  const candidates = [...new Set(found ?? [...ids, ...others])].map(id =>
    pathOf(id) === '' ? id : `${id} (${pathOf(id)})`,
  )
  if (role !== undefined)
    throw wrong(`Resources.${name}`, `could be ${candidates.join(' or ')}: say which is meant`)
  const instead = candidates.length === 0 ? '' : `; there is ${candidates.join(', ')}`
  throw wrong(`Resources.${name}`, `there is no such role or function${instead}`)
}

function startsWith(id: string, path: string, name: string): boolean {
  return id.startsWith(name) || path.startsWith(`${name}/`) || path.includes(`/${name}/`)
}

/** The role that a function names, or the function or the role itself. */
function roleOf(id: string, resources: Resources): string {
  const resource = resources[id]
  const { Role } = isRecord(resource) && isRecord(resource.Properties) ? resource.Properties : {}
  return referredBy(Role) ?? id
}

/**
 * The path of a construct of the CDK, `OrdersStack/Function/ServiceRole`; empty where there is none.
 *
 * @see https://docs.aws.amazon.com/cdk/v2/guide/identifiers.html
 */
function constructPathOf(resource: unknown): string {
  const { Metadata } = isRecord(resource) ? resource : {}
  const path = isRecord(Metadata) ? Metadata['aws:cdk:path'] : undefined
  return typeof path === 'string' ? path.replace(/\/Resource$/, '') : ''
}

function typeOf(resource: unknown): string {
  return isRecord(resource) ? String(resource.Type) : ''
}

/** The logical id that `!Ref X` or `!GetAtt X.Arn` leads to. */
export function referredBy(value: unknown): string | undefined {
  if (!isRecord(value)) return undefined
  const path = value['Fn::GetAtt']
  const name = value.Ref ?? (Array.isArray(path) ? path[0] : path)
  return typeof name === 'string' ? name.split('.')[0] : undefined
}

/** The role that a policy is attached to: by reference, or by the name that the role has or gets elsewhere. */
export function attachedRole(value: unknown, resources: Resources): string | undefined {
  if (typeof value !== 'string') return referredBy(value)
  const named = Object.entries(resources).find(
    ([, resource]) =>
      typeOf(resource) === 'AWS::IAM::Role' &&
      isRecord(resource) &&
      isRecord(resource.Properties) &&
      resource.Properties.RoleName === value,
  )
  return named?.[0] ?? value
}
