import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeAuthority } from '../../kit/src/gateway/certificate.ts'
import type { GatewayOptions } from '../../kit/src/gateway/options.ts'
import { readOptions } from '../../kit/src/gateway/settings.ts'
import { RdsIamError } from '../../src/errors/rds-iam-error.ts'
import { readSettings, type Settings } from '../../src/options/settings.ts'
import { setEnvironment } from '../support/environment.ts'
import { assertProperty } from '../support/properties.ts'
import { garbage, unicode } from './garbage.ts'

const { ca } = await makeAuthority()
const names = ['PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE', 'AWS_REGION', 'AWS_DEFAULT_REGION']
setEnvironment({ after() {} }, Object.fromEntries(names.map(name => [name, undefined])))

const engine = {
  factory: 'iamPg',
  defaultPort: 5432,
  caVariable: 'PGSSLROOTCERT',
  environment: { host: 'PGHOST', port: 'PGPORT', user: 'PGUSER', database: 'PGDATABASE' },
  defaultDatabase: (user: string) => user,
  ownedClientOptions: { password: 'a token takes its place' },
  failures: [],
} as const

// What is right, written down a second time, as plainly as it can be said.

type Fields = Readonly<Record<string, unknown>>
type Judge = (value: unknown) => boolean

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isFunction: Judge = value => typeof value === 'function'
const isBoolean: Judge = value => typeof value === 'boolean'
const isText: Judge = value =>
  typeof value === 'string' &&
  value !== '' &&
  value.trim() === value &&
  !value.includes('\0') &&
  Buffer.from(value).toString() === value
const isWhole =
  (min: number, max: number): Judge =>
  value =>
    typeof value === 'number' && value >= min && value <= max && Math.floor(value) === value
const isPort: Judge = value =>
  isWhole(1, 65_535)(typeof value === 'string' && /^[0-9]{1,5}$/.test(value) ? Number(value) : value)
const isName: Judge = value =>
  typeof value === 'string' &&
  value.length <= 253 &&
  isIP(value) === 0 &&
  !value.includes('.dsql.') &&
  value.split('.').every(label => {
    const characters = [...label]
    const known = characters.every(character => /[a-zA-Z0-9_-]/.test(character))
    return known && label.length >= 1 && label.length <= 63 && label[0] !== '-' && label.at(-1) !== '-'
  })
const isHost: Judge = value => isName(value) || (typeof value === 'string' && isIP(value) !== 0)
const isEndpoint: Judge = value =>
  isObject(value) &&
  isName(value.host) &&
  (value.port === undefined || isPort(value.port)) &&
  Object.keys(value).every(key => ['host', 'port'].includes(key))
const isPem: Judge = value =>
  value === ca || (value instanceof Uint8Array && String(value) === String(Buffer.from(ca)))
const isTls: Judge = value =>
  isObject(value) &&
  Object.keys(value).every(key => key === 'ca') &&
  (value.ca === undefined || (Array.isArray(value.ca) ? [...value.ca].every(isPem) : isPem(value.ca)))
const isFilled: Judge = value => typeof value === 'string' && value.length > 0
const isOptional =
  (judge: Judge): Judge =>
  value =>
    value === undefined || judge(value)
const isDate: Judge = value => value instanceof Date && Number.isFinite(value.getTime())
const isCredentials: Judge = value =>
  isFunction(value) ||
  (isObject(value) &&
    isFilled(value.accessKeyId) &&
    isFilled(value.secretAccessKey) &&
    isOptional(text => typeof text === 'string')(value.sessionToken) &&
    isOptional(isDate)(value.expiration) &&
    !('SessionToken' in value))
const isMetrics = (value: unknown) => isFunction((Object(value) as { addMetric?: unknown }).addMetric)
const isLogger: Judge = value =>
  typeof value === 'object' &&
  value !== null &&
  ['debug', 'info', 'warn', 'error'].every(level => isFunction((value as Fields)[level]))
const isContextKey: Judge = value =>
  isText(value) &&
  !['awsRequestId', ...Object.getOwnPropertyNames(Object.prototype)].includes(value as string)
const seldom = (usual: fc.Arbitrary<unknown>, other: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 4, arbitrary: usual }, { weight: 1, arbitrary: other })
const isClient: Judge = value => isObject(value) && !Object.hasOwn(value, 'password')

/** A right value and some that are nearly right, and who tells them apart; regions and hosts depend on each other. */
const options: Readonly<Record<string, readonly [judge: Judge, near: fc.Arbitrary<unknown>]>> = {
  port: [isPort, fc.oneof(fc.integer({ min: -1, max: 65_537 }), fc.constantFrom('5432', '0', '1e3', 5432.5))],
  user: [isText, fc.oneof(unicode(), fc.constantFrom('app', 'App', ' app', 'a b', 'Zoë', 'x\ud800'))],
  database: [isText, fc.oneof(unicode(), fc.constantFrom('orders', '\n', 'a\0'))],
  tls: [
    isTls,
    fc.constantFrom<unknown>(
      {},
      { ca },
      { ca: [ca, ca] },
      { ca: Buffer.from(ca) },
      { ca: [ca, 5] },
      { ca, x: 1 },
      { ca: [] },
    ),
  ],
  credentials: [
    isCredentials,
    fc.record(
      {
        accessKeyId: seldom(fc.constant('AKIA'), garbage),
        secretAccessKey: seldom(fc.constant('secret'), garbage),
        sessionToken: seldom(fc.string(), garbage),
        expiration: seldom(fc.date({ noInvalidDate: false }), garbage),
      },
      { requiredKeys: ['accessKeyId', 'secretAccessKey', 'sessionToken', 'expiration'] },
    ),
  ],
  signer: [isFunction, fc.constant(() => '')],
  contextKey: [
    isContextKey,
    fc.oneof(fc.string(), fc.constantFrom('db', 'awsRequestId', 'toString', '__proto__')),
  ],
  prefetch: [isBoolean, fc.boolean()],
  connectTimeoutMs: [isWhole(1, 900_000), fc.oneof(fc.integer({ min: -2, max: 900_002 }), fc.double())],
  pingAfterIdleMs: [
    value => value === false || isWhole(0, 86_400_000)(value),
    fc.oneof(fc.integer({ min: -2, max: 86_400_002 }), fc.boolean()),
  ],
  tokenMarginMs: [isWhole(0, 840_000), fc.integer({ min: -2, max: 840_002 })],
  retryRefused: [isBoolean, fc.boolean()],
  resetSession: [isBoolean, fc.boolean()],
  targetSessionAttrs: [
    value => value === 'any' || value === 'read-write',
    fc.constantFrom('any', 'read-write', 'primary', 'ANY', ''),
  ],
  max: [isWhole(1, 1_000), fc.integer({ min: -2, max: 1_002 })],
  logger: [isLogger, fc.constantFrom<unknown>(console, { info() {} }, { ...console, warn: 1 })],
  metrics: [isMetrics, fc.constantFrom<unknown>({ addMetric() {} }, { addMetric: 1 }, { addMetrics() {} })],
  client: [isClient, fc.constantFrom<unknown>({}, { application_name: 'x' }, { password: 'x' })],
}

const host = 'orders.c1x2.eu-west-1.rds.amazonaws.com'
const right = { host, user: 'app' }

/** The settings, or the names of the options that the error complains of. */
function read(given: unknown): Settings | ReadonlySet<string> {
  try {
    return readSettings(engine, given)
  } catch (error) {
    assert.ok(error instanceof RdsIamError, `another error was thrown: ${error}`)
    assert.equal(error.code, 'RDS_IAM_OPTIONS')
    return new Set([...error.message.matchAll(/^- `(\w+)/gm)].map(match => match[1] ?? ''))
  }
}

for (const [name, [judge, near]] of Object.entries(options)) {
  test(`\`${name}\` is taken where it is right, and named where it is wrong`, () => {
    assertProperty(
      fc.property(fc.oneof(near, garbage), value => {
        const isRight = value === undefined ? name !== 'user' : judge(value)
        const outcome = read({ ...right, [name]: value })
        if (outcome instanceof Set) assert.deepEqual([[...outcome], isRight], [[name], false])
        else assert.ok(isRight, 'what is wrong was accepted')
      }),
    )
  })
}

const hosts = fc.oneof(
  fc.constantFrom<unknown>(
    host,
    host.toUpperCase(),
    'db.example',
    '10.0.0.1',
    '::1',
    `${'a'.repeat(64)}.example`,
  ),
  fc.constantFrom<unknown>(
    'a..b',
    '-a',
    'a-',
    'a.',
    'https://a',
    'a:1',
    '/tmp',
    'x.dsql.eu-west-1.on.aws',
    'ſ.example',
  ),
  fc.domain(),
  garbage,
)
const regions = fc.oneof(
  fc.constantFrom<unknown>(
    'eu-west-1',
    'us-gov-east-1',
    'cn-north-1',
    'EU-WEST-1',
    'eu-west-1a',
    'eu-west-1\n',
  ),
  garbage,
)

test('`host`, `endpoint` and `region` are judged together', () => {
  const endpoints = fc.oneof(
    fc.constant(undefined),
    fc.record(
      { host: hosts, port: fc.oneof(fc.constantFrom<unknown>(5432, 0), garbage) },
      { requiredKeys: ['host'] },
    ),
    garbage,
  )
  assertProperty(
    fc.property(hosts, endpoints, regions, (host, endpoint, region) => {
      const wrong = new Set<string>()
      if (!isHost(host)) wrong.add('host')
      if (endpoint === undefined && !isName(host)) wrong.add('host')
      if (endpoint !== undefined && !isEndpoint(endpoint)) wrong.add('endpoint')
      const named = (endpoint === undefined ? host : (endpoint as Fields)?.host) as string
      const told = isName(named)
        ? /\.([a-z-]+-\d)\.rds\.amazonaws\.com$/i.exec(named)?.[1]?.toLowerCase()
        : undefined
      const isRegion = typeof region === 'string' && /^[a-z]{2}(-[a-z]+)+-[0-9]$/.test(region)
      const isRegionRight =
        region === undefined ? told !== undefined : isRegion && (told ?? region) === region
      // Where it is not known which endpoint is meant, its Region is not asked for.
      if (!isRegionRight && isName(named)) wrong.add('region')
      const outcome = read({ host, endpoint, region, user: 'app' })
      if (outcome instanceof Set) assert.deepEqual([...outcome].sort(), [...wrong].sort())
      else {
        assert.deepEqual([...wrong], [], 'what is wrong was accepted')
        const settings = outcome as Settings
        assert.equal(settings.host, String(host).toLowerCase())
        assert.equal(settings.endpoint.host, named.toLowerCase())
        assert.equal(settings.region, region ?? told)
      }
    }),
    { numRuns: 500 },
  )
})

test('every wrong option is named at once, and no right one', () => {
  const given = fc.record(
    Object.fromEntries(Object.entries(options).map(([name, [, near]]) => [name, fc.oneof(near, garbage)])),
    { requiredKeys: [] },
  )
  assertProperty(
    fc.property(given, given => {
      const wrong = Object.entries(given)
        .filter(([name, value]) => value !== undefined && !options[name]?.[0](value))
        .map(([name]) => name)
      const user = given.user === undefined ? { user: 'app' } : {}
      const outcome = read({ host, ...given, ...user })
      if (outcome instanceof Set) assert.deepEqual([...outcome].sort(), wrong.sort())
      else assert.deepEqual([], wrong, 'what is wrong was accepted')
    }),
  )
})

test('an option by another name is named', () => {
  const name = fc
    .string({ minLength: 1 })
    .filter(name => !['host', 'user', 'endpoint', 'region', ...Object.keys(options)].includes(name))
  assertProperty(
    fc.property(name, garbage, (name, value) => {
      const given = Object.defineProperty({ ...right }, name, { value, enumerable: true })
      assert.throws(
        () => readSettings(engine, given),
        (error: unknown) => {
          assert.ok(error instanceof RdsIamError && error.message.includes(`\`${name}\` is not an option`))
          return true
        },
      )
    }),
  )
})

test('what are no options at all is refused', () => {
  assertProperty(
    fc.property(garbage, given => {
      const outcome = read(given)
      assert.ok(outcome instanceof Set && outcome.size > 0)
    }),
  )
})

test('right options give the documented settings', () => {
  const whole = (min: number, max: number) => fc.option(fc.integer({ min, max }), { nil: undefined })
  const text = fc.constantFrom('app', 'App', 'Zoë', 'a b')
  assertProperty(
    fc.property(
      text,
      fc.option(text, { nil: undefined }),
      whole(1, 65_535),
      whole(1, 900_000),
      fc.oneof(whole(0, 86_400_000), fc.constant(false as const)),
      whole(0, 840_000),
      whole(1, 1_000),
      fc.option(fc.boolean(), { nil: undefined }),
      fc.option(fc.boolean(), { nil: undefined }),
      (
        user,
        database,
        port,
        connectTimeoutMs,
        pingAfterIdleMs,
        tokenMarginMs,
        max,
        prefetch,
        resetSession,
      ) => {
        const given = {
          user,
          database,
          port,
          connectTimeoutMs,
          pingAfterIdleMs,
          tokenMarginMs,
          max,
          prefetch,
          resetSession,
        }
        const settings = readSettings(engine, Object.freeze({ host: host.toUpperCase(), ...given }))
        assert.deepEqual(
          { ...settings, extraCaFile: undefined },
          {
            caFiles: [],
            wrap: undefined,
            host,
            port: port ?? 5432,
            user,
            database: database ?? user,
            endpoint: { host, port: port ?? 5432 },
            region: 'eu-west-1',
            followsWriter: false,
            ca: [],
            credentials: undefined,
            signer: undefined,
            contextKey: 'db',
            prefetch: prefetch ?? true,
            connectTimeoutMs: connectTimeoutMs ?? 10_000,
            pingAfterIdleMs:
              pingAfterIdleMs === false ? Number.POSITIVE_INFINITY : (pingAfterIdleMs ?? 10_000),
            tokenMarginMs: tokenMarginMs ?? 60_000,
            resetSession: resetSession ?? true,
            isResetChosen: resetSession !== undefined,
            max: max ?? 10,
            logger: undefined,
            metrics: undefined,
            retryRefused: true,
            targetSessionAttrs: 'any',
            client: {},
            extraCaFile: undefined,
            oneAtATime: false,
            failures: [],
          },
        )
      },
    ),
  )
})

// The gateway's own options.

const policy = {
  document: { Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' } },
  resourceId: 'db-X',
}
const isList =
  (judge: Judge): Judge =>
  value =>
    Array.isArray(value) && [...value].every(judge)
const isGatewayCredentials: Judge = value =>
  isObject(value) &&
  isFilled(value.accessKeyId) &&
  isFilled(value.secretAccessKey) &&
  isOptional(isFilled)(value.sessionToken) &&
  isOptional(isDate)(value.expiration)
const gatewayOptions: Readonly<Record<string, readonly [judge: Judge, near: fc.Arbitrary<unknown>]>> = {
  engine: [
    value => value === 'postgres' || value === 'mysql',
    fc.constantFrom('postgres', 'mysql', 'mariadb'),
  ],
  upstream: [
    value =>
      isObject(value) &&
      isOptional(isHost)(value.host) &&
      isWhole(1, 65_535)(value.port) &&
      isOptional(password => isFilled(password) || isFunction(password))(value.password) &&
      Object.keys(value).every(key => ['host', 'port', 'password'].includes(key)),
    fc.record(
      { host: hosts, port: fc.integer({ min: 0, max: 65_536 }), password: garbage },
      { requiredKeys: ['port'] },
    ),
  ],
  host: [isHost, hosts],
  port: [isWhole(0, 65_535), fc.integer({ min: -1, max: 65_536 })],
  region: [value => typeof value === 'string' && /^[a-z]{2}(-[a-z]+)+-[0-9]$/.test(value), regions],
  endpoints: [
    isList(
      value =>
        isObject(value) &&
        isName(value.host) &&
        isWhole(1, 65_535)(value.port) &&
        Object.keys(value).every(key => ['host', 'port'].includes(key)),
    ),
    fc.array(fc.record({ host: hosts, port: fc.integer({ min: 0, max: 65_536 }) }), { maxLength: 3 }),
  ],
  credentials: [
    value =>
      isList(isGatewayCredentials)(value) &&
      new Set((value as Fields[]).map(pair => pair.accessKeyId)).size === (value as Fields[]).length,
    fc.array(
      fc.record(
        {
          accessKeyId: fc.constantFrom('a', 'b', '', 5),
          secretAccessKey: fc.constantFrom('s', ''),
          expiration: fc.date(),
        },
        { requiredKeys: ['accessKeyId', 'secretAccessKey'] },
      ),
      { maxLength: 3 },
    ),
  ],
  users: [isList(isFilled), fc.array(fc.string())],
  policy: [
    value => value === policy,
    fc.oneof(
      fc.constant(policy),
      fc.record({ document: garbage, resourceId: fc.constantFrom('db-X', '') }),
      fc.record({
        document: fc.record({
          Statement: fc.record({ Effect: garbage, Action: garbage, Resource: garbage }),
        }),
        resourceId: fc.constant('db-X'),
      }),
    ),
  ],
  maxConnectionsPerSecond: [isWhole(1, Number.MAX_SAFE_INTEGER), fc.oneof(fc.integer(), fc.double())],
  onDecision: [isFunction, fc.constant(() => {})],
  handshakeTimeoutMs: [isWhole(1, 2_147_483_647), fc.oneof(fc.integer(), fc.constantFrom(2 ** 31, 1))],
  now: [isFunction, fc.constant(Date.now)],
}

// A gateway that other machines reach does not take the key pair that everybody knows.
const own = { accessKeyId: 'AKIAMINE', secretAccessKey: 'secret' }

for (const [name, [judge, near]] of Object.entries(gatewayOptions)) {
  test(`the gateway's \`${name}\` is taken where it is right, and named where it is wrong`, () => {
    const needed = name === 'upstream' || name === 'region'
    assertProperty(
      fc.property(fc.oneof(near, garbage), value => {
        const isRight = value === undefined ? !needed : judge(value)
        const given = { upstream: { port: 5432 }, region: 'eu-west-1', credentials: [own], [name]: value }
        try {
          readOptions(given as unknown as GatewayOptions)
        } catch (error) {
          assert.ok(error instanceof RdsIamError, `another error was thrown: ${error}`)
          assert.equal(error.code, 'RDS_IAM_OPTIONS')
          assert.deepEqual(
            [...new Set([...error.message.matchAll(/^- `(\w+)/gm)].map(match => match[1]))],
            [name],
          )
          assert.ok(!isRight, `what is right was refused: ${error.message}`)
          return
        }
        assert.ok(isRight, 'what is wrong was accepted')
      }),
    )
  })
}
