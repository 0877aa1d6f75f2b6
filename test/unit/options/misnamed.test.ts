// What somebody reads who comes with the options of @middy/rds and @middy/rds-signer, or of a driver.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMysqlPool, iamMysql, iamMysqlPool } from '../../../src/mysql2.ts'
import { createPgPool, iamPg, iamPgPool, RdsIamError } from '../../../src/pg.ts'

const right = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', region: 'eu-west-1' }
const factories = { iamPg, iamPgPool, createPgPool, iamMysql, iamMysqlPool, createMysqlPool }

/** The lines of the error that a factory throws, without their mark. */
function problems(create: (options: never) => object, options: object): readonly string[] {
  try {
    create({ ...right, ...options } as never)
  } catch (error) {
    assert.ok(error instanceof RdsIamError)
    assert.equal(error.code, 'RDS_IAM_OPTIONS')
    return error.message.split('\n- ').slice(1)
  }
  return assert.fail('nothing was thrown')
}

/** Each option with a value of its own kind, and what to do in its place. */
const options: Readonly<Record<string, readonly [value: unknown, hint: RegExp]>> = {
  // @middy/rds
  config: [
    { host: right.host, username: 'app' },
    /give `host`, `port`, `user` and `database` beside each other.*`client`/,
  ],
  internalKey: ['rdsToken', /signs its token itself/],
  internalData: [{}, /signs its token itself/],
  forceConnection: [true, /always open before the handler/],
  // Both
  disablePrefetch: [true, /give `prefetch: false`/],
  cacheKey: ['rds', /no middleware shares/],
  cachePasswordKey: ['rds', /no middleware shares/],
  cacheExpiry: [-1, /kept as long as they are usable/],
  cacheKeyExpiry: [{ rds: 60_000 }, /kept as long as they are usable/],
  cacheMaxSize: [10, /one token for each middleware; `max`/],
  // @middy/rds-signer
  fetchData: [
    { rdsToken: { hostname: right.host, username: 'app' } },
    /`hostname` as `host`.*`username` as `user`/,
  ],
  AwsClient: [class Signer {}, /signed here, without a request; give a `signer`/],
  awsClientOptions: [{ region: 'eu-west-1' }, /give `region` and `credentials`/],
  awsClientAssumeRole: ['role', /`fromTemporaryCredentials\(\)`/],
  awsClientCapture: [(client: unknown) => client, /without a request that could be traced/],
  awsRequestLimit: [10, /without a request that could be limited.*`connectTimeoutMs`/],
  setToContext: [true, /by the name that `contextKey` gives/],
  setToEnv: [true, /by the name that `contextKey` gives/],
  // Drivers
  hostname: [right.host, /it is called `host`/],
  username: ['app', /it is called `user`/],
  dbname: ['orders', /it is called `database`/],
  password: ['hunter2', /an authentication token takes its place/],
  connectionString: [
    'postgres://app:hunter2@db.example/orders',
    /give `host`, `port`, `user` and `database`/,
  ],
  uri: ['mysql://app:hunter2@db.example/orders', /give `host`, `port`, `user` and `database`/],
  ssl: [false, /TLS is always on and verified/],
}

for (const [name, [value, hint]] of Object.entries(options)) {
  test(`says what takes the place of \`${name}\`, and shows nothing of it`, () => {
    for (const create of Object.values(factories)) {
      const [problem = '', ...others] = problems(create, { [name]: value })
      assert.ok(problem.startsWith(`\`${name}\` is not an option: `), problem)
      assert.match(problem, hint)
      assert.doesNotMatch(problem, /hunter2/)
      assert.deepEqual(others, [])
    }
  })
}

test('says of a client that is a function what `client` is here', () => {
  for (const create of Object.values(factories)) {
    const client = () => ({})
    assert.deepEqual(problems(create, { client }), [
      '`client` is a function; give options of the driver, of which the client is made here, and `wrap` to make something of it',
    ])
  }
})

test('has a hint for all that both middlewares of Middy take together, at once', () => {
  const own = Object.entries(options).filter(([name]) =>
    /^(config|internal|disable|cache|fetch|aws|Aws|set)/.test(name),
  )
  const given = Object.fromEntries(own.map(([name, [value]]) => [name, value]))
  const found = problems(iamPg, { ...given, client: () => ({}), contextKey: 'rds' })
  assert.equal(found.length, own.length + 1)
  assert.ok(found.every(problem => / is not an option: | is a function; /.test(problem)))
})

test('has no hint for a name that every object has', () => {
  for (const name of ['constructor', 'toString', '__proto__']) {
    const create = () => iamPg(Object.defineProperty({ ...right }, name, { value: 1, enumerable: true }))
    assert.deepEqual(problems(create, {}), [`\`${name}\` is not an option`])
  }
})
