import {
  accountProblem,
  type Endpoint,
  isIpAddress,
  partitionProblem,
  regionProblem,
  resourceIdProblem,
  userNameProblem,
} from 'middy-rds-iam/identifiers'
import { type Checks, createChecks, got, gotName, refuseProblems, show } from 'middy-rds-iam/options'
import type { Decision } from './decision.ts'
import { type Given, readPort } from './given.ts'
import type { GatewayOptions } from './options.ts'
import { type GatewayPolicy, type PolicyEvaluation, readPolicy } from './policy.ts'
import type { GatewayCredentials } from './sigv4.ts'
import { closeToAll, isOpenToAll, standInCredentials } from './stand-in.ts'
import type { Upstream } from './upstream.ts'
import { readUpstream } from './upstream-settings.ts'

/** What a gateway needs to know whatever stands behind it, with every default filled in. */
export interface FrontSettings {
  readonly host: string
  readonly port: number
  readonly region: string
  readonly endpoints: readonly Endpoint[]
  readonly credentials: ReadonlyMap<string, GatewayCredentials>
  readonly evaluatePolicy: ((user: string) => PolicyEvaluation) | undefined
  readonly onDecision: (decision: Decision) => void
  readonly handshakeTimeoutMs: number
  readonly now: () => number
}

/** The options with every default filled in. */
export interface GatewaySettings extends FrontSettings {
  readonly engine: 'postgres' | 'mysql'
  readonly upstream: Upstream
  readonly users: ReadonlySet<string> | undefined
  readonly maxConnectionsPerSecond: number | undefined
}

export const engineNames = ['postgres', 'mysql'] as const

/** The options that `readFront` reads. */
export const frontOptionNames = [
  ...['host', 'port', 'region', 'endpoints', 'credentials', 'policy', 'onDecision'],
  ...['handshakeTimeoutMs', 'now'],
]
const optionNames = ['engine', 'upstream', 'users', 'maxConnectionsPerSecond', ...frontOptionNames]

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once; values that may be secret are not
 * shown.
 */
export function readOptions(options: GatewayOptions): GatewaySettings {
  const checks = createChecks()
  const given: Given = checks.object('options', options, '{ upstream, region }') ?? {}
  checks.known(given, optionNames)
  const settings: GatewaySettings = {
    engine: checks.oneOf('engine', given.engine, engineNames, 'postgres'),
    upstream: readUpstream(checks, given.upstream),
    ...readFront(checks, given, given.users !== undefined),
    users: given.users === undefined ? undefined : new Set(readUsers(checks, given.users)),
    maxConnectionsPerSecond: readLimit(checks, 'maxConnectionsPerSecond', given.maxConnectionsPerSecond),
  }
  refuseProblems('startGateway', checks.problems)
  return settings
}

/**
 * Reads where a gateway listens, and what it decides by.
 *
 * @param namesUsers Whether only some database users may come in.
 */
export function readFront(checks: Checks, given: Given, namesUsers: boolean): FrontSettings {
  const region = readRegion(checks, given.region)
  const host = checks.host('host', given.host) ?? '127.0.0.1'
  const credentials = readCredentials(checks, given.credentials)
  if (isOpenToAll(host, credentials.values(), namesUsers && given.policy !== undefined))
    checks.complain(
      'host',
      `is reached from other machines, where everybody knows the key pair ${standInCredentials.accessKeyId}: ` +
        `${closeToAll}; got ${show(host)}`,
    )
  return {
    host,
    port: checks.integer('port', given.port, { fallback: 0, min: 0, max: 65_535 }),
    region,
    endpoints: checks
      .list('endpoints', given.endpoints)
      .map((entry, index) => readEndpoint(checks, `endpoints[${index}]`, entry)),
    credentials,
    evaluatePolicy: readPolicyOption(checks, given.policy, region),
    onDecision: (checks.function('onDecision', given.onDecision) ?? (() => {})) as (
      decision: Decision,
    ) => void,
    handshakeTimeoutMs: checks.integer('handshakeTimeoutMs', given.handshakeTimeoutMs, {
      fallback: 10_000,
      min: 1,
      // Node's timers take longer delays for 1 ms.
      max: 2_147_483_647,
    }),
    now: (checks.function('now', given.now) ?? (() => Date.now())) as () => number,
  }
}

/** Reads how many new connections a second may pass. */
export function readLimit(checks: Checks, name: string, value: unknown): number | undefined {
  return value === undefined ? undefined : checks.integer(name, value, { fallback: 1, min: 1 })
}

function readRegion(checks: Checks, value: unknown): string {
  const problem = regionProblem(value)
  if (problem === undefined) return value as string
  checks.complain('region', `${problem}${got(value)}`)
  return ''
}

function readEndpoint(checks: Checks, name: string, value: unknown): Endpoint {
  if (value === undefined) checks.complain(name, 'is missing')
  const endpoint: Given = checks.object(name, value, 'of the form { host, port }') ?? {}
  checks.known(endpoint, ['host', 'port'], `${name}.`)
  if (endpoint.host === undefined) checks.complain(`${name}.host`, 'is missing')
  const host = checks.host(`${name}.host`, endpoint.host) ?? ''
  if (isIpAddress(host))
    checks.complain(
      `${name}.host`,
      `is an IP address, which no token is signed for; give the name; got ${show(host)}`,
    )
  return { host, port: readPort(checks, `${name}.port`, endpoint.port) }
}

function readCredentials(checks: Checks, value: unknown): ReadonlyMap<string, GatewayCredentials> {
  const entries = value === undefined ? [standInCredentials] : checks.list('credentials', value)
  const pairs = entries.map((entry, index) => {
    const name = `credentials[${index}]`
    const form = 'of the form { accessKeyId, secretAccessKey, sessionToken? }'
    const pair: Given = checks.object(name, entry, form) ?? {}
    for (const part of ['accessKeyId', 'secretAccessKey']) checks.secret(`${name}.${part}`, pair[part])
    if (pair.sessionToken !== undefined) checks.secret(`${name}.sessionToken`, pair.sessionToken)
    const { expiration } = pair
    if (expiration !== undefined && !(expiration instanceof Date && !Number.isNaN(expiration.getTime())))
      checks.complain(`${name}.expiration`, `is not a valid Date; got ${show(expiration)}`)
    return pair as unknown as GatewayCredentials
  })
  const byId = new Map(pairs.map(pair => [pair.accessKeyId, { ...pair }]))
  if (byId.size < pairs.length) checks.complain('credentials', 'has an access key twice')
  return byId
}

/** Names of any engine: what only one of them refuses, no client of the other may be kept from. */
function readUsers(checks: Checks, value: unknown): readonly string[] {
  return checks.list('users', value).map((user, index) => {
    const problem = userNameProblem(undefined, user)
    if (problem !== undefined) checks.complain(`users[${index}]`, `${problem}${gotName(user)}`)
    return user as string
  })
}

function readPolicyOption(
  checks: Checks,
  value: unknown,
  region: string,
): FrontSettings['evaluatePolicy'] | undefined {
  const policy: Given | undefined = checks.object(
    'policy',
    value,
    'of the form { document, resourceId, accountId?, partition? }',
  )
  if (policy === undefined) return undefined
  checks.known(policy, ['document', 'resourceId', 'accountId', 'partition'], 'policy.')
  const { document, resourceId, accountId, partition } = policy
  const complain = (name: string, problem: string | undefined, value: unknown): void => {
    if (problem !== undefined) checks.complain(`policy.${name}`, `${problem}${got(value)}`)
  }
  complain('resourceId', resourceIdProblem(resourceId), resourceId)
  if (accountId !== undefined) complain('accountId', accountProblem(accountId), accountId)
  if (partition !== undefined) complain('partition', partitionProblem(partition, region), partition)
  const where = { document, resourceId, accountId, partition } as GatewayPolicy
  return readPolicy(where, region, (at, problem) => checks.complain(`policy.document${at}`, problem))
}
