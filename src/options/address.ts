import type { Target } from '../errors/target.ts'
import { type Endpoint, isIpAddress } from '../identifiers/endpoint.ts'
import { isGlobalEndpoint, isRegionName, regionOfHost } from '../identifiers/region.ts'
import { type Checks, show } from './checks.ts'
import { readVariable } from './environment.ts'

/** What an address is completed with, by engine. */
export interface AddressDefaults {
  readonly defaultPort: number
  /** The environment variables that options fall back to. */
  readonly environment: Readonly<Record<'host' | 'port' | 'user' | 'database', string>>
  /** The database of a user that names none, or nothing where a session needs none. */
  readonly defaultDatabase: (user: string) => string
}

/** Where the database is and who connects; the Region is read behind it. */
export type Address = Omit<Target, 'region'>

type GivenAddress = { readonly [Name in keyof Address]?: unknown }

/**
 * Reads where the database is and who connects. What is wrong or missing is complained of, and empty.
 *
 * @param given The options as somebody wrote them.
 */
export function readAddress(checks: Checks, given: GivenAddress, defaults: AddressDefaults): Address {
  const { defaultPort, defaultDatabase, environment } = defaults
  /** An option's place and value: its own, or its environment variable's. */
  const find = (name: keyof AddressDefaults['environment']): [string, unknown] => {
    const variable = environment[name]
    return given[name] === undefined ? [variable, readVariable(variable)] : [name, given[name]]
  }
  const host = checks.host(...find('host'))
  const user = checks.text(...find('user'))
  if (find('host')[1] === undefined)
    checks.complain('host', `is missing; give it, or set ${environment.host}`)
  if (find('user')[1] === undefined)
    checks.complain('user', `is missing; give it, or set ${environment.user}`)
  const port = checks.port(...find('port')) ?? defaultPort
  return {
    host: host ?? '',
    port,
    user: user ?? '',
    database: checks.text(...find('database')) ?? defaultDatabase(user ?? ''),
    endpoint: readEndpoint(checks, given.endpoint, { host: host ?? '', port }),
  }
}

/** Where the endpoint is wrong, its host is empty. */
function readEndpoint(checks: Checks, given: unknown, address: Endpoint): Endpoint {
  if (given === undefined) {
    if (!isIpAddress(address.host)) return address
    const problem = 'is an IP address, which no certificate and no token names: add `endpoint`'
    checks.complain('host', `${problem}; got ${show(address.host)}`)
    return { ...address, host: '' }
  }
  const wrong = { ...address, host: '' }
  const endpoint = checks.object('endpoint', given, 'of the form { host, port? }')
  if (endpoint === undefined) return wrong
  const { host: givenHost, port } = endpoint
  checks.known(endpoint, ['host', 'port'], 'endpoint.')
  if (givenHost === undefined) checks.complain('endpoint.host', 'is missing')
  const host = checks.host('endpoint.host', givenHost)
  const checkedPort = checks.port('endpoint.port', port) ?? address.port
  if (host === undefined) return wrong
  if (!isIpAddress(host)) return { host, port: checkedPort }
  checks.complain('endpoint.host', `is an IP address; give the name of the RDS endpoint; got ${show(host)}`)
  return wrong
}

/**
 * Whether the Region is wherever the writer of a global database is: its endpoint names none, and the option
 * `region` does not say.
 */
export function followsWriter(givenRegion: unknown, endpoint: Endpoint): boolean {
  return givenRegion === undefined && isGlobalEndpoint(endpoint.host)
}

/**
 * Reads the Region: the option's, the one in the endpoint's name, or the environment's. Empty where it is
 * wrong, and where only DNS tells it.
 *
 * @example
 * ```ts
 * const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }
 * readRegion(createChecks(), undefined, endpoint) // 'eu-west-1'
 * ```
 */
export function readRegion(checks: Checks, given: unknown, endpoint: Endpoint): string {
  const told = regionOfHost(endpoint.host)
  const fallback = told ?? readVariable('AWS_REGION') ?? readVariable('AWS_DEFAULT_REGION')
  const value = given === undefined ? fallback : given
  if (endpoint.host === '') {
    // Wrong or missing, as was said; the Region would only be a second complaint about it.
  } else if (value === undefined && followsWriter(given, endpoint)) {
    // DNS tells it, when there is something to be signed.
  } else if (value === undefined) {
    const problem = 'is missing: the name of the endpoint does not tell it'
    checks.complain('region', `${problem}; give it, or set AWS_REGION`)
  } else if (typeof value !== 'string' || !isRegionName(value)) {
    checks.complain('region', `is not the name of a Region, such as eu-west-1; got ${show(value)}`)
  } else if (told !== undefined && value !== told) {
    checks.complain('region', `is not the endpoint's own, ${told}; leave it out; got ${show(value)}`)
  } else {
    return value
  }
  return ''
}
