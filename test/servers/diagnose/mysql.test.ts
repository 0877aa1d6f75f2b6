import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeAuthority } from '../../../kit/src/index.ts'
import { diagnoseMysql } from '../../../src/diagnose/diagnose-mysql2.ts'
import { mysqlChecks } from '../../../src/diagnose/mysql-checks.ts'
import { credentials, findMysqlKinds, useMysql } from '../../support/database.ts'
import { checked, stepOf, stepsThat } from '../../support/diagnosis.ts'
import {
  greetingWithoutTls,
  type MysqlOpening,
  mysqlGreeting,
  packet,
  startRecordingMysqlServer,
  switchTo,
} from '../../support/recording-mysql-server.ts'

const diagnose = checked(diagnoseMysql)
const authority = await makeAuthority('trusted')
const certificate = await authority.issue({ names: ['localhost'] })
const { kinds, missing } = findMysqlKinds()
const servers = await Promise.all(kinds.map(async kind => ({ kind, ...(await useMysql(kind)) })))
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

/** What a server greets with that has no place, or no wish, for anybody. */
function refusal(number: number, text: string): Buffer {
  const code = Buffer.alloc(3, 0xff)
  code.writeUInt16LE(number, 1)
  return packet(0, Buffer.concat([code, Buffer.from(text)]))
}

async function diagnoseOpening(opening: MysqlOpening) {
  const server = await startRecordingMysqlServer(opening)
  const report = await diagnose({
    host: 'localhost',
    port: server.port,
    user: 'app',
    region: 'eu-west-1',
    tls: { ca: authority.ca },
    credentials,
    connectTimeoutMs: 1_000,
  })
  return { server, report }
}

for (const [title, greeting, code, finding, remedy] of [
  [
    'no TLS',
    greetingWithoutTls,
    'RDS_IAM_TRUST',
    /does not support secure connection/,
    /does not speak TLS as RDS/,
  ],
  [
    'too many connections',
    refusal(1040, '#08004Too many connections'),
    'RDS_IAM_THROTTLED',
    /^Too many connections \(ER_CON_COUNT_ERROR\)$/,
    /put RDS Proxy before the database/,
  ],
  [
    'a blocked host',
    refusal(1129, "Host 'x' is blocked"),
    'RDS_IAM_UNAVAILABLE',
    /is blocked/,
    /FLUSH HOSTS/,
  ],
  [
    'an error that no rule knows',
    refusal(1999, 'Not today'),
    'RDS_IAM_DATABASE',
    /^Not today \(ER_1999\)$/,
    /^No rule knows this failure/,
  ],
  [
    'another protocol',
    Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'),
    'RDS_IAM_UNAVAILABLE',
    /begin as MySQL/,
    /as MySQL does/,
  ],
  [
    'a greeting that is cut off',
    packet(0, Buffer.from('\n8.0.40\0')),
    'RDS_IAM_UNAVAILABLE',
    /cut off/,
    /as MySQL does/,
  ],
] as const) {
  test(`says that a server greets with ${title}`, async () => {
    const { server, report } = await diagnoseOpening({ greeting })
    assert.deepEqual(stepsThat(report, 'failed'), ['tls'])
    const step = stepOf(report, 'tls')
    assert.equal(step.code, code)
    assert.match(step.finding, finding)
    assert.match(step.remedy ?? '', remedy)
    assert.equal(await server.received(), '')
  })
}

test('waits for a greeting that comes in pieces', async () => {
  const greeting = mysqlGreeting()
  const { report } = await diagnoseOpening({
    certificate,
    greeting: greeting.subarray(0, 9),
    afterGreeting: greeting.subarray(9),
  })
  assert.equal(stepOf(report, 'tls').status, 'ok')
})

test('says that a user is asked for a password in place of a token', async () => {
  const { report } = await diagnoseOpening({ certificate, answer: switchTo('caching_sha2_password') })
  assert.deepEqual(stepsThat(report, 'failed'), ['authentication'])
  const { code, remedy } = stepOf(report, 'authentication')
  assert.equal(code, 'RDS_IAM_NOT_GRANTED')
  assert.match(remedy ?? '', /IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'/)
})

const settings = { user: "o'app" } as never
const cipher = 'TLS_AES_256_GCM_SHA384'
const tls = { version: 'TLSv1.3', cipher, standardCipher: cipher }
const look = (rows: readonly Record<string, string | null>[]) => ({ settings, tls, query: async () => rows })
const check = (name: string) => mysqlChecks.find(check => check.name === name) ?? assert.fail(name)

for (const [statement, status, finding] of [
  // As RDS for MySQL, RDS for MariaDB and others have it.
  [
    "CREATE USER `app`@`%` IDENTIFIED WITH 'AWSAuthenticationPlugin' AS 'RDS' REQUIRE SSL PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK",
    'ok',
    'identified with AWSAuthenticationPlugin, requires SSL',
  ],
  [
    "CREATE USER `app`@`%` IDENTIFIED VIA AWSAuthenticationPlugin USING 'RDS'",
    'warning',
    'identified with AWSAuthenticationPlugin, requires NONE',
  ],
  [
    "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$hash' REQUIRE NONE",
    'warning',
    'identified with caching_sha2_password, requires NONE: it is not IAM that decides about this user',
  ],
] as const) {
  test(`reads how a user is authenticated from ${statement.slice(24, 70)}`, async () => {
    const outcome = await check('iam-user').run(look([{ 'CREATE USER for app@%': statement }]))
    assert.deepEqual([outcome.status ?? 'ok', outcome.finding], [status, finding])
    assert.doesNotMatch(JSON.stringify(outcome), /hash/)
    if (status === 'warning') assert.match(outcome.remedy ?? '', /'o''app'@'%'/)
  })
}

for (const [value, status] of [
  ['ON', 'ok'],
  ['OFF', 'warning'],
] as const) {
  test(`says whether TLS is forced where require_secure_transport is ${value}`, async () => {
    const outcome = await check('forced-tls').run(look([{ Value: value }]))
    assert.equal(outcome.status ?? 'ok', status)
  })
}

for (const { kind, mysql, gate } of servers) {
  test(`${kind}: tells the plugin of a user with a password, and nothing of the password`, async t => {
    await mysql.query("CREATE USER 'hashed'@'%' IDENTIFIED BY 'upstream-password'")
    await mysql.query("GRANT ALL PRIVILEGES ON notes.* TO 'hashed'@'%'")
    // Before SHOW CREATE USER, there was only the table.
    if (kind === 'mysql') await mysql.query("GRANT SELECT ON mysql.user TO 'hashed'@'%'")
    t.after(() => mysql.query("DROP USER 'hashed'@'%'"))
    const { options } = await gate({ upstream: { port: mysql.port, password: 'upstream-password' } })
    const report = await diagnose({ ...options, user: 'hashed' })
    const { status, finding, details } = stepOf(report, 'iam-user')
    assert.equal(status, 'warning')
    const [row] = await mysql.query("SELECT plugin AS plugin FROM mysql.user WHERE user = 'hashed'")
    assert.equal(details?.plugin, row?.plugin === '' ? 'no plugin of its own' : row?.plugin, finding)
    assert.doesNotMatch(JSON.stringify(report), /\*[0-9A-F]{40}|\$A\$005|upstream-password/)
  })

  test(`${kind}: says honestly what it cannot read`, async () => {
    const { options } = await gate()
    const { status } = stepOf(await diagnose(options), 'iam-user')
    const hasStatement = await mysql.query('SHOW CREATE USER root@localhost').then(
      () => true,
      () => false,
    )
    assert.equal(status, hasStatement ? 'warning' : 'unknown')
  })

  test(`${kind}: says that a database is not granted`, async t => {
    await mysql.query('CREATE DATABASE closed')
    t.after(() => mysql.query('DROP DATABASE closed'))
    const { options } = await gate()
    const report = await diagnose({ ...options, database: 'closed' })
    assert.deepEqual(stepsThat(report, 'failed'), ['session'])
    assert.match(stepOf(report, 'session').remedy ?? '', /GRANT ALL PRIVILEGES ON `closed`/)
  })

  test(`${kind}: needs no database`, async () => {
    const { options } = await gate()
    const { finding } = stepOf(await diagnose({ ...options, database: undefined }), 'session')
    assert.equal(finding, 'notes_app@%, in no database')
  })
}
