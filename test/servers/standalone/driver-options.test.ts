// What a driver, or a library above it, makes of the options that it is given.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { makeAuthority } from '../../../kit/src/index.ts'
import { mysqlOptions } from '../../../src/mysql2.ts'
import { createPgPool, type PgOptions, pgOptions, RdsIamError } from '../../../src/pg.ts'
import { credentials, findMysqlKinds, useMysql, usePostgres } from '../../support/database.ts'
import { startRecordingMysqlServer } from '../../support/recording-mysql-server.ts'
import { startRecordingServer } from '../../support/recording-server.ts'

const { gate } = await usePostgres()
const { kinds, missing } = findMysqlKinds()
const [kind] = kinds.slice(-1)
const mysqlGate = kind === undefined ? undefined : (await useMysql(kind)).gate
const skip = mysqlGate === undefined && missing
const [authority, stranger] = await Promise.all([makeAuthority('trusted'), makeAuthority('stranger')])
const forLocalhost = await authority.issue({ names: ['localhost'] })
const forAnother = await authority.issue({ names: ['db.example.com'] })
const unknown = await stranger.issue({ names: ['localhost'] })

const address = {
  host: 'localhost',
  user: 'app',
  region: 'eu-west-1',
  tls: { ca: authority.ca },
  credentials,
}

/** Copies everything that can be copied, as ORMs do with what they are given; functions stay what they are. */
function copyDeep<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copyDeep) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, copyDeep(entry)])) as T
}

async function queryPg(options: object): Promise<unknown> {
  const client = new pg.Client(options)
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query('SELECT current_user AS user')
    return rows[0]?.user
  } finally {
    await client.end().catch(() => {})
  }
}

async function queryMysql(options: object): Promise<unknown> {
  const connection = await mysql.createConnection(options)
  connection.on('error', () => {})
  const [rows] = await connection.query('SELECT SUBSTRING_INDEX(CURRENT_USER(), "@", 1) AS user')
  connection.destroy()
  return (rows as { user: string }[])[0]?.user
}

test('pgOptions connects a client of pg, as it is, as a copy, and beside options of its own', async () => {
  const { options, decisions } = await gate()
  const given = await pgOptions(options)
  assert.equal(await queryPg(given), 'notes_app')
  assert.equal(await queryPg(copyDeep(given)), 'notes_app')
  assert.equal(await queryPg({ ...given, application_name: 'orders' }), 'notes_app')
  assert.equal(new Set(decisions.map(({ tokenId }) => tokenId)).size, 1)
})

test('pgOptions serves a pool of pg', async () => {
  const { options, gateway } = await gate()
  const pool = new pg.Pool({ ...(await pgOptions(options)), max: 2 })
  await Promise.all(Array.from({ length: 6 }, () => pool.query('SELECT pg_sleep(0.01)')))
  assert.equal(gateway.stats().connections, 2)
  await pool.end()
})

test('mysqlOptions connects a connection and a pool of mysql2, as it is and as a copy', {
  skip,
}, async () => {
  const { options, decisions } = await (mysqlGate as NonNullable<typeof mysqlGate>)()
  const given = await mysqlOptions(options)
  assert.equal(await queryMysql(given), 'notes_app')
  assert.equal(await queryMysql(copyDeep(given)), 'notes_app')
  const pool = mysql.createPool({ ...copyDeep(given), connectionLimit: 2 })
  await Promise.all(Array.from({ length: 6 }, () => pool.query('SELECT SLEEP(0.01)')))
  await pool.end()
  assert.equal(decisions.length, 4)
  assert.equal(new Set(decisions.map(({ tokenId }) => tokenId)).size, 1)
})

test('both reach the endpoint behind another name, and verify the endpoint', { skip }, async () => {
  const postgres = await gate()
  const behind = { host: '127.0.0.1', endpoint: { host: 'localhost', port: postgres.options.port } }
  assert.equal(await queryPg(await pgOptions({ ...postgres.options, ...behind })), 'notes_app')
  const { options } = await (mysqlGate as NonNullable<typeof mysqlGate>)()
  const endpoint = { host: 'localhost', port: options.port }
  assert.equal(await queryMysql(await mysqlOptions({ ...options, host: '127.0.0.1', endpoint })), 'notes_app')
})

test('a token that was refused is not given again', { skip }, async () => {
  for (const [open, query] of [
    [gate, async (given: object) => queryPg(await pgOptions(given))],
    [
      mysqlGate as NonNullable<typeof mysqlGate>,
      async (given: object) => queryMysql(await mysqlOptions(given)),
    ],
  ] as const) {
    let now = Date.now()
    const { options, decisions } = await open({ now: () => now })
    let signed = 0
    const make = query === undefined ? undefined : open === gate ? pgOptions : mysqlOptions
    const { createTokenSource } = await import('../../../src/index.ts')
    const { host, port, user, region } = options
    const given = await (make as typeof pgOptions)({
      ...options,
      signer: async () => {
        signed += 1
        // Another one each time: a signature has a resolution of a second.
        return createTokenSource({ host, port, user, region, credentials })()
      },
    })
    const run = open === gate ? queryPg : queryMysql
    await run(given)
    await run(given)
    assert.equal(signed, 1)
    now += 16 * 60_000
    await assert.rejects(run(given))
    now -= 16 * 60_000
    await run(given)
    assert.equal(signed, 2)
    assert.deepEqual(
      decisions.map(({ verdict }) => verdict),
      ['admitted', 'admitted', 'refused', 'admitted'],
    )
  }
})

test('neither holds a secret that can be printed, listed or copied', { skip }, async () => {
  const postgres = await gate()
  const { options } = await (mysqlGate as NonNullable<typeof mysqlGate>)()
  for (const given of [await pgOptions(postgres.options), await mysqlOptions(options)]) {
    const shown = inspect(given, { depth: null, showHidden: true, getters: true }) + JSON.stringify(given)
    assert.doesNotMatch(shown, /defaultsecret|X-Amz-|Action=connect/)
  }
})

/** What a library may do to the options, by mistake or by its defaults. Each must keep the token from the server. */
const weakened: Readonly<Record<string, (given: PgOptions) => object>> = {
  'takes TLS away': given => ({ ...given, ssl: false }),
  'has another idea of TLS': given => ({ ...given, ssl: true }),
  // Would take any certificate.
  'verifies nothing': given => ({ ...given, ssl: { rejectUnauthorized: false } }),
  'verifies no name': given => ({ ...given, ssl: { ...given.ssl, checkServerIdentity: () => undefined } }),
  'trusts somebody else': given => ({
    ...given,
    ssl: { ...given.ssl, ca: stranger.ca, checkServerIdentity: () => undefined },
  }),
  'adds to the authorities themselves': given => {
    given.ssl.ca.push(stranger.ca)
    return { ...given, ssl: { ...given.ssl, checkServerIdentity: () => undefined } }
  },
  'trusts somebody else beside': given => ({
    ...given,
    ssl: { ...given.ssl, ca: [...given.ssl.ca, stranger.ca], checkServerIdentity: () => undefined },
  }),
}

for (const [title, weaken] of Object.entries(weakened)) {
  test(`pgOptions gives no byte of a token to a server that is not the endpoint, where a library ${title}`, async () => {
    for (const opening of [unknown, forAnother, { plaintext: Buffer.from('N') }]) {
      const server = await startRecordingServer(opening)
      const given = await pgOptions({ ...address, port: server.port, connectTimeoutMs: 1_000 })
      await assert.rejects(queryPg(weaken(given)))
      assert.doesNotMatch(await server.received(), /X-Amz-/)
    }
  })
}

test('mysqlOptions gives no byte of a token to a server that is not the endpoint, whatever a library makes of it', async () => {
  const weakenings: readonly ((given: object) => object)[] = [
    given => given,
    given => ({ ...given, ssl: undefined }),
    // Would take any certificate, or any name.
    given => ({ ...given, ssl: { rejectUnauthorized: false } }),
    given => ({ ...given, ssl: { ca: authority.ca } }),
    given => ({ ...given, ssl: { ca: [authority.ca], verifyIdentity: false }, host: 'db.example.com' }),
    given => ({ ...given, authPlugins: undefined, password: 'x' }),
    given => ({ ...given, ssl: { ca: [authority.ca, stranger.ca], verifyIdentity: true } }),
    given => ({ ...given, ssl: { ca: stranger.ca, verifyIdentity: false } }),
  ]
  for (const weaken of weakenings) {
    for (const certificate of [unknown, forAnother]) {
      const server = await startRecordingMysqlServer({ certificate })
      const given = weaken(await mysqlOptions({ ...address, port: server.port, connectTimeoutMs: 2_000 }))
      // The second may resume the TLS session of the first, and shows no certificate then.
      for (let time = 0; time < 2; time += 1) await assert.rejects(queryMysql(given))
      assert.doesNotMatch(await server.received(), /X-Amz-/)
    }
  }
  const server = await startRecordingMysqlServer({ certificate: forLocalhost })
  await queryMysql(await mysqlOptions({ ...address, port: server.port })).catch(() => {})
  assert.match(await server.received(), /X-Amz-/)
})

test('pgOptions gives the token to a client of pg alone, which it can look at', async () => {
  const { password } = await pgOptions({ ...address, port: 5432 })
  for (const call of [() => password(), () => password.call({}), () => password.call({ connection: {} })]) {
    await assert.rejects(call, (error: unknown) => {
      assert.ok(error instanceof RdsIamError)
      assert.equal(error.code, 'RDS_IAM_TRUST')
      assert.match(error.message, /createTokenSource.*trustedTls/)
      return true
    })
  }
})

test('both name every wrong option at once, those of a pool too', async () => {
  await assert.rejects(pgOptions({ port: 0, max: 3, wrap: 1 } as never), (error: unknown) => {
    assert.ok(error instanceof RdsIamError)
    assert.equal(error.code, 'RDS_IAM_OPTIONS')
    for (const part of [
      /^pgOptions: /,
      /`port` is not a port/,
      /`max` is not an option/,
      /`wrap` is not an option/,
    ])
      assert.match(error.message, part)
    return true
  })
  await assert.rejects(
    mysqlOptions({ password: 'hunter2' } as never),
    /an authentication token takes its place/,
  )
  for (const wrong of [{ contextKey: 'db' }, { wrap: (pool: unknown) => pool }])
    assert.throws(() => createPgPool({ ...address, ...wrong } as never), /createPgPool: .*is not an option/s)
})

test('a pool’s own options make a client that reaches the same server, verified', async () => {
  const { options } = await gate()
  const pool = createPgPool(options)
  await pool.query('SELECT 1')
  assert.equal(await queryPg(pool.options), 'notes_app')
  assert.doesNotMatch(inspect(pool.options, { showHidden: true, depth: 5 }), /X-Amz-|defaultsecret/)
  await pool.close()
})
