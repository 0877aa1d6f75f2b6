import { RdsIamError } from 'middy-rds-iam'
import {
  accountProblem,
  type Endpoint,
  hostProblem,
  isIpAddress,
  isRegionName,
  resourceIdProblem,
} from 'middy-rds-iam/identifiers'
import type { Decision } from './decision.ts'
import type { GatewayOptions, GatewayUpstream } from './options.ts'
import { type PolicyEvaluation, readPolicy } from './policy.ts'
import type { GatewayCredentials } from './sigv4.ts'

/** SAM CLI's stand-in for credentials, which it sets without a session token where it finds none. */
export const standInCredentials: GatewayCredentials = {
  accessKeyId: 'defaultkey',
  secretAccessKey: 'defaultsecret',
}

/** The options with every default filled in. */
export interface GatewaySettings {
  readonly engine: 'postgres' | 'mysql'
  readonly upstream: {
    readonly host: string
    readonly port: number
    readonly password: (user: string) => string | undefined
  }
  readonly host: string
  readonly port: number
  readonly region: string
  readonly endpoints: readonly Endpoint[]
  readonly credentials: ReadonlyMap<string, GatewayCredentials>
  readonly users: ReadonlySet<string> | undefined
  readonly evaluatePolicy: ((user: string) => PolicyEvaluation) | undefined
  readonly maxConnectionsPerSecond: number | undefined
  readonly onDecision: (decision: Decision) => void
  readonly handshakeTimeoutMs: number
  readonly now: () => number
}

const engines = ['postgres', 'mysql'] as const

const optionNames = new Set([
  'engine',
  'upstream',
  'host',
  'port',
  'region',
  'endpoints',
  'credentials',
  'users',
  'policy',
  'maxConnectionsPerSecond',
  'onDecision',
  'handshakeTimeoutMs',
  'now',
])

const upstreamNames = new Set(['host', 'port', 'password'])
const policyNames = new Set(['document', 'resourceId', 'accountId'])

/**
 * Validates the options and fills in defaults.
 *
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once; values that may be secret are not shown.
 */
export function readOptions(options: GatewayOptions): GatewaySettings {
  const problems: string[] = []
  const check = (name: string, valid: boolean, wanted: string, got: unknown): void => {
    if (!valid) problems.push(`\`${name}\` must be ${wanted}, got ${show(got)}`)
  }
  const given: Partial<GatewayOptions> = isObject(options) ? options : {}
  check('options', isObject(options), 'an object', options)
  const allowOnly = (names: ReadonlySet<string>, value: object, at = ''): void => {
    for (const name of Object.keys(value).filter(name => !names.has(name)))
      problems.push(`\`${at}${name}\` is not an option`)
  }
  allowOnly(optionNames, given)

  check(
    'engine',
    isOptional(given.engine, engine => engines.includes(engine)),
    `one of ${engines.join(', ')}`,
    given.engine,
  )
  const upstream: Partial<GatewayUpstream> = isObject(given.upstream) ? given.upstream : {}
  const password = upstream.password
  check('upstream', isObject(given.upstream), 'an object like { port: 5432 }', given.upstream)
  allowOnly(upstreamNames, upstream, 'upstream.')
  check('upstream.host', isOptional(upstream.host, isAddress), 'a host name or an IP address', upstream.host)
  check('upstream.port', isPort(upstream.port), 'a port between 1 and 65535', upstream.port)
  check(
    'upstream.password',
    isOptional(password, value => isText(value) || typeof value === 'function'),
    'a text or a function',
    typeof password,
  )
  check('host', isOptional(given.host, isAddress), 'a host name or an IP address', given.host)
  check(
    'port',
    isOptional(given.port, port => port === 0 || isPort(port)),
    'a port, or 0 for any',
    given.port,
  )
  check(
    'region',
    isText(given.region) && isRegionName(given.region),
    "a Region's name like eu-west-1",
    given.region,
  )

  const endpoints = readList('endpoints', given.endpoints, check, [])
  for (const [index, endpoint] of endpoints.entries()) {
    const { host, port, ...others } = isObject(endpoint) ? endpoint : {}
    allowOnly(new Set(), others, `endpoints[${index}].`)
    check(`endpoints[${index}].host`, isAddress(host) && !isIpAddress(host), 'a host name', host)
    check(`endpoints[${index}].port`, isPort(port), 'a port between 1 and 65535', port)
  }
  const credentials = readList('credentials', given.credentials, check, [standInCredentials])
  for (const [index, pair] of credentials.entries()) {
    const at = `credentials[${index}]`
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = isObject(pair) ? pair : {}
    check(`${at}.accessKeyId`, isText(accessKeyId), 'a text', typeof accessKeyId)
    check(`${at}.secretAccessKey`, isText(secretAccessKey), 'a text', typeof secretAccessKey)
    check(`${at}.sessionToken`, isOptional(sessionToken, isText), 'a text', typeof sessionToken)
    check(`${at}.expiration`, isOptional(expiration, isDate), 'a valid Date', expiration)
  }
  const ids = credentials.map(pair => pair?.accessKeyId)
  if (new Set(ids).size < ids.length) problems.push('`credentials` has an access key twice')
  const users = readList('users', given.users, check, undefined)
  for (const [index, user] of (users ?? []).entries()) check(`users[${index}]`, isText(user), 'a text', user)

  check(
    'maxConnectionsPerSecond',
    isOptional(given.maxConnectionsPerSecond, isCount),
    'a whole number of at least 1',
    given.maxConnectionsPerSecond,
  )
  check(
    'handshakeTimeoutMs',
    isOptional(given.handshakeTimeoutMs, isDelay),
    'a whole number of milliseconds, at most 2147483647',
    given.handshakeTimeoutMs,
  )
  check('onDecision', isOptional(given.onDecision, isFunction), 'a function', given.onDecision)
  check('now', isOptional(given.now, isFunction), 'a function', given.now)

  const region = isText(given.region) ? given.region : ''
  const policy = given.policy
  check('policy', isOptional(policy, isObject), 'an object with a document and a resourceId', policy)
  if (isObject(policy)) {
    const { resourceId, accountId } = policy
    allowOnly(policyNames, policy, 'policy.')
    const complain = (name: string, problem: string | undefined, got: unknown): void => {
      if (problem !== undefined) problems.push(`\`policy.${name}\` ${problem}; got ${show(got)}`)
    }
    complain('resourceId', resourceIdProblem(resourceId), resourceId)
    if (accountId !== undefined) complain('accountId', accountProblem(accountId), accountId)
  }
  const evaluatePolicy = isObject(policy)
    ? readPolicy(policy, region, problem =>
        problems.push(`\`policy.document\`${/^[.]/.test(problem) ? '' : ' '}${problem}`),
      )
    : undefined

  if (problems.length > 0) {
    throw new RdsIamError(
      'RDS_IAM_OPTIONS',
      `The gateway cannot start with these options:\n${problems.map(problem => `- ${problem}`).join('\n')}`,
    )
  }
  return {
    engine: given.engine ?? 'postgres',
    upstream: {
      host: upstream.host ?? '127.0.0.1',
      port: upstream.port ?? 0,
      password: typeof password === 'function' ? password : () => password,
    },
    host: given.host ?? '127.0.0.1',
    port: given.port ?? 0,
    region,
    endpoints: endpoints.map(({ host, port }) => ({ host: host.toLowerCase(), port })),
    credentials: new Map(credentials.map(pair => [pair.accessKeyId, { ...pair }])),
    users: users && new Set(users),
    evaluatePolicy,
    maxConnectionsPerSecond: given.maxConnectionsPerSecond,
    onDecision: given.onDecision ?? (() => {}),
    handshakeTimeoutMs: given.handshakeTimeoutMs ?? 10_000,
    now: given.now ?? Date.now,
  }
}

function readList<T, F>(
  name: string,
  value: readonly T[] | undefined,
  check: (name: string, valid: boolean, wanted: string, got: unknown) => void,
  fallback: F,
): readonly T[] | F {
  if (value === undefined) return fallback
  check(name, Array.isArray(value), 'a list', value)
  return Array.isArray(value) ? value : []
}

const isObject = <T>(value: T | undefined): value is T & object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
const isFunction = (value: unknown): boolean => typeof value === 'function'
const isAddress = (value: unknown): value is string => isText(value) && hostProblem(value) === undefined
const isPort = (value: unknown): boolean => isCount(value) && Number(value) <= 65_535
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 1
// Node's timers take longer delays for 1 ms.
const isDelay = (value: unknown): boolean => isCount(value) && Number(value) <= 2_147_483_647
const isDate = (value: unknown): boolean => value instanceof Date && !Number.isNaN(value.getTime())
const isOptional = <T>(value: T | undefined, valid: (value: T) => boolean): boolean =>
  value === undefined || valid(value)

/** What an option had, for a message: the value where it is plain and short. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return `${typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value).slice(0, 100)} (${typeof value})`
}
