import type { Failure } from '../errors/failure.ts'
import type { Target } from '../errors/target.ts'
import type { Observers } from '../events/observers.ts'
import { isProxyEndpoint, isWriterEndpoint } from '../identifiers/endpoint.ts'
import type { AwsCredentials, AwsCredentialsProvider } from '../token/credentials.ts'
import type { TokenSigner } from '../token/signer-request.ts'
import type { CaFile } from '../trust/roots.ts'
import { type AddressDefaults, followsWriter, readAddress, readRegion } from './address.ts'
import { readCa } from './ca.ts'
import { type Checks, createChecks, refuseProblems, show } from './checks.ts'
import { findCaFiles, isOneAtATime, readVariable } from './environment.ts'
import { findInstead } from './misnamed.ts'
import { readLogger, readMetrics } from './observer-options.ts'
import type { RdsIamOptions, TargetSessionAttrs } from './options.ts'
import { readCredentials, readTokenMargin } from './signing-options.ts'

/** What differs between the database engines in reading options. */
export interface Engine extends AddressDefaults {
  /** Whose options they are, for errors: `iamPg`. */
  readonly factory: string
  /** The environment variable that names a file of more authorities. */
  readonly caVariable: string
  /** The driver's options that this package owns, and what to do instead. */
  readonly ownedClientOptions: Readonly<Record<string, string>>
  /** What its server and its driver fail with. */
  readonly failures: readonly Failure[]
}

/** What access to the database as one user is made of. */
export interface AccessSettings extends Target, Observers {
  /**
   * Whether the Region is wherever the writer of a global database is. `region` is then the one to take where
   * DNS does not tell it, and empty where there is none.
   */
  readonly followsWriter: boolean
  /** Authorities that the user adds, each as PEM. */
  readonly ca: readonly string[]
  /** The file that `NODE_EXTRA_CA_CERTS` names: authorities that the operator trusts. */
  readonly extraCaFile: string | undefined
  /** The file that the engine's own variable names: authorities beside all others. */
  readonly caFiles: readonly CaFile[]
  readonly credentials: AwsCredentials | AwsCredentialsProvider | undefined
  readonly signer: TokenSigner | undefined
  readonly tokenMarginMs: number
  readonly failures: readonly Failure[]
}

/** How connections are opened, checked and given back. */
export interface ConnectionSettings {
  readonly connectTimeoutMs: number
  readonly retryRefused: boolean
  readonly targetSessionAttrs: TargetSessionAttrs
  /** Infinity for never. */
  readonly pingAfterIdleMs: number
  /** Whether the session's state is put back between invocations. */
  readonly resetSession: boolean
  /** Whether somebody said so: then a connection whose server cannot do it is closed. */
  readonly isResetChosen: boolean
  readonly max: number
  /** Whether one invocation is over when the next one begins. */
  readonly oneAtATime: boolean
  /** Options for the driver. */
  readonly client: Readonly<Record<string, unknown>>
}

/** What concerns the middleware alone. */
export interface MiddlewareSettings {
  readonly contextKey: string
  readonly prefetch: boolean
  /** Makes of a connection or pool what the handler gets instead. */
  readonly wrap: ((connection: never) => unknown) | undefined
}

/** Options that were checked, with every default filled in. */
export interface Settings extends AccessSettings, ConnectionSettings, MiddlewareSettings {}

/** The options of a middleware as somebody wrote them, right or wrong. */
type Given = { readonly [Name in OptionName]?: unknown }

/** The name of an option of a middleware. */
export type OptionName = keyof RdsIamOptions | 'contextKey' | 'wrap' | 'client'

const optionNames: Readonly<Record<OptionName, true>> = {
  host: true,
  port: true,
  user: true,
  database: true,
  region: true,
  endpoint: true,
  tls: true,
  credentials: true,
  signer: true,
  contextKey: true,
  prefetch: true,
  connectTimeoutMs: true,
  retryRefused: true,
  targetSessionAttrs: true,
  pingAfterIdleMs: true,
  tokenMarginMs: true,
  resetSession: true,
  max: true,
  logger: true,
  metrics: true,
  wrap: true,
  client: true,
}

const targets = ['any', 'read-write'] as const

// https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html, and `lambdaContext` of durable functions
const namesInContext =
  'tenantId functionName functionVersion invokedFunctionArn memoryLimitInMB awsRequestId logGroupName logStreamName identity ' +
  'clientContext callbackWaitsForEmptyEventLoop getRemainingTimeInMillis done fail succeed lambdaContext'

/**
 * Checks the options of a middleware, or of what has fewer of them, and fills in the defaults.
 *
 * @param without Those that there are not.
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once and what it got.
 */
export function readSettings(
  engine: Engine,
  options: unknown,
  without: readonly OptionName[] = [],
): Settings {
  const checks = createChecks()
  const given = readGiven(checks, options, without)

  const address = readAddress(checks, given, engine)
  const settings: Settings = {
    ...address,
    region: readRegion(checks, given.region, address.endpoint),
    followsWriter: followsWriter(given.region, address.endpoint),
    ca: readCa(checks, given.tls),
    credentials: readCredentials(checks, given.credentials),
    signer: checks.function('signer', given.signer) as TokenSigner | undefined,
    contextKey: readContextKey(checks, given.contextKey),
    prefetch: checks.boolean('prefetch', given.prefetch, true),
    connectTimeoutMs: checks.integer('connectTimeoutMs', given.connectTimeoutMs, {
      fallback: 10_000,
      min: 1,
      max: 900_000,
    }),
    retryRefused: checks.boolean('retryRefused', given.retryRefused, true),
    targetSessionAttrs: checks.oneOf(
      'targetSessionAttrs',
      given.targetSessionAttrs,
      targets,
      isWriterEndpoint(address.endpoint.host) ? 'read-write' : 'any',
    ),
    pingAfterIdleMs:
      given.pingAfterIdleMs === false
        ? Number.POSITIVE_INFINITY
        : checks.integer('pingAfterIdleMs', given.pingAfterIdleMs, {
            fallback: 10_000,
            min: 0,
            max: 86_400_000,
            or: ', or false',
          }),
    tokenMarginMs: readTokenMargin(checks, given.tokenMarginMs),
    resetSession: checks.boolean('resetSession', given.resetSession, !isProxyEndpoint(address.endpoint.host)),
    isResetChosen: given.resetSession !== undefined,
    max: checks.integer('max', given.max, { fallback: 10, min: 1, max: 1_000 }),
    logger: readLogger(checks, given.logger),
    metrics: readMetrics(checks, given.metrics),
    wrap: checks.function('wrap', given.wrap) as MiddlewareSettings['wrap'],
    client: readClient(checks, given.client, engine),
    extraCaFile: readVariable('NODE_EXTRA_CA_CERTS'),
    caFiles: findCaFiles([engine.caVariable]),
    oneAtATime: isOneAtATime(),
    failures: engine.failures,
  }

  refuseProblems(engine.factory, checks.problems)
  return settings
}

function readGiven(checks: Checks, options: unknown, without: readonly OptionName[]): Given {
  const given = checks.object('options', options, 'an object') ?? {}
  const names = Object.keys(optionNames).filter(name => !without.includes(name as OptionName))
  checks.known(given, names, '', findInstead)
  return given
}

function readContextKey(checks: Checks, value: unknown): string {
  const name = checks.text('contextKey', value) ?? 'db'
  if (namesInContext.split(' ').includes(name) || name in Object.prototype) {
    checks.complain('contextKey', `is a name that Lambda's context uses itself; got ${show(name)}`)
  }
  return name
}

function readClient(checks: Checks, value: unknown, { ownedClientOptions }: Engine): Settings['client'] {
  if (typeof value === 'function') {
    // As `@middy/rds` has it.
    checks.complain(
      'client',
      'is a function; give options of the driver, of which the client is made here, and `wrap` to make something of it',
    )
    return {}
  }
  const client = checks.object('client', value, 'an object of driver options') ?? {}
  for (const name of Object.keys(client)) {
    const instead = Object.hasOwn(ownedClientOptions, name) ? ownedClientOptions[name] : undefined
    if (instead !== undefined) checks.complain(`client.${name}`, `belongs to this package: ${instead}`)
  }
  // What is undefined was not given, and must not take the place of a default.
  return Object.fromEntries(Object.entries(client).filter(([, option]) => option !== undefined))
}
