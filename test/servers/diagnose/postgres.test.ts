import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPostgresDatabase } from '../../../kit/src/database/postgres-database.ts'
import { diagnosePg } from '../../../src/diagnose/diagnose-pg.ts'
import { speaksDirectTls } from '../../support/capabilities.ts'
import { credentials, usePostgres } from '../../support/database.ts'
import { checked, stepOf, stepsThat } from '../../support/diagnosis.ts'
import { startRecordingServer } from '../../support/recording-server.ts'
import { startTlsPostgres } from '../../support/tls-postgres.ts'

const diagnose = checked(diagnosePg)
const { postgres, gate } = await usePostgres()
// Trusts everybody but one, who is asked for a password.
const direct = await startTlsPostgres(
  'hostssl all scram_user all scram-sha-256\nhost all all 127.0.0.1/32 trust',
)
const [user, database] = ['notes_app', 'notes']
await createPostgresDatabase(direct.server, database, [user])
await direct.server.query("CREATE USER scram_user PASSWORD 'secret'")
const directOptions = {
  host: 'localhost',
  port: direct.server.port,
  user,
  database,
  region: 'eu-west-1',
  tls: { ca: direct.ca },
  credentials,
}

test('says that the server sees the same TLS, and that it let the user in without the token', async () => {
  const report = await diagnose(directOptions)
  assert.equal(report.ok, true)
  assert.match(stepOf(report, 'encryption').finding, /^TLSv1\.3, TLS_\w+, and the server says the same$/)
  const { status, finding, remedy } = stepOf(report, 'authentication')
  assert.deepEqual([status, finding], ['warning', 'the server let notes_app in without asking for the token'])
  assert.match(remedy ?? '', /not IAM that decides/)
})

test('speaks direct TLS where the driver does', async t => {
  if (!(await speaksDirectTls({ port: direct.server.port, ca: direct.ca })))
    return t.skip('this server speaks no direct TLS')
  const report = await diagnose({ ...directOptions, client: { sslnegotiation: 'direct' } } as never)
  assert.deepEqual([report.ok, stepOf(report, 'tls').status], [true, 'ok'])
})

test('says that a user is asked for a password', async () => {
  const report = await diagnose({ ...directOptions, user: 'scram_user', database: 'notes' })
  assert.deepEqual(stepsThat(report, 'failed'), ['authentication'])
  const { code, finding, remedy } = stepOf(report, 'authentication')
  assert.equal(code, 'RDS_IAM_NOT_GRANTED')
  assert.equal(finding, 'The server asked for a password by SCRAM, not for a token')
  assert.match(remedy ?? '', /CREATE USER "scram_user"; GRANT rds_iam TO "scram_user";/)
})

for (const [title, answer] of [
  ['no', 'N'],
  ['nothing that PostgreSQL says', 'E'],
  ['yes, and more than that in the clear', 'SR'],
] as const) {
  test(`gives up where a server answers the request for TLS with ${title}`, async () => {
    const server = await startRecordingServer({ plaintext: Buffer.from(answer) })
    const report = await diagnose({ ...directOptions, port: server.port })
    assert.deepEqual([stepsThat(report, 'failed'), stepOf(report, 'tls').code], [['tls'], 'RDS_IAM_TRUST'])
    assert.match(stepOf(report, 'tls').remedy ?? '', /does not speak TLS as RDS does/)
    assert.equal(await server.received(), '\0\0\0\x08\x04\xd2\x16\x2f')
  })
}

test('says whether the user is a member of rds_iam, by another role too', async t => {
  const { options } = await gate()
  const membership = async () => stepOf(await diagnose(options), 'iam-user')
  t.after(() => postgres.query('GRANT rds_iam TO notes_app; DROP ROLE IF EXISTS app_role'))
  assert.deepEqual([(await membership()).status, (await membership()).finding], ['ok', 'a member of rds_iam'])
  await postgres.query('REVOKE rds_iam FROM notes_app')
  const { status, remedy } = await membership()
  assert.equal(status, 'warning')
  assert.match(remedy ?? '', /^Run `GRANT rds_iam TO "notes_app";` as the master user/)
  await postgres.query('CREATE ROLE app_role; GRANT rds_iam TO app_role; GRANT app_role TO notes_app')
  assert.equal((await membership()).status, 'ok')
})

test('says that a server without rds_iam is not on RDS', async t => {
  const { options } = await gate()
  await postgres.query('ALTER ROLE rds_iam RENAME TO no_rds_iam')
  t.after(() => postgres.query('ALTER ROLE no_rds_iam RENAME TO rds_iam'))
  const { status, finding } = stepOf(await diagnose(options), 'iam-user')
  assert.deepEqual([status, finding], ['unknown', 'there is no role rds_iam: this server is not on RDS'])
})

for (const [value, status, finding] of [
  ['1', 'ok', /^rds\.force_ssl is on/],
  ['0', 'warning', /^rds\.force_ssl is off/],
] as const) {
  test(`says whether TLS is forced where rds.force_ssl is ${value}`, async t => {
    const { options } = await gate()
    // RDS's own parameter, which another server takes for one of an extension.
    await postgres.query(`ALTER DATABASE notes SET rds.force_ssl = '${value}'`)
    t.after(() => postgres.query('ALTER DATABASE notes RESET rds.force_ssl'))
    const step = stepOf(await diagnose(options), 'forced-tls')
    assert.equal(step.status, status)
    assert.match(step.finding, finding)
  })
}

test('says that a user becomes another one', async t => {
  const { options } = await gate()
  await postgres.query('CREATE ROLE other; GRANT other TO notes_app; ALTER ROLE notes_app SET role = other')
  t.after(() => postgres.query('ALTER ROLE notes_app RESET role; DROP ROLE other'))
  const { status, finding } = stepOf(await diagnose(options), 'session')
  assert.deepEqual([status, finding], ['warning', 'other in the database notes'])
})

test('says what the server does not tell, and goes on', async t => {
  const { options } = await gate()
  await postgres.query('REVOKE SELECT ON pg_catalog.pg_stat_ssl FROM PUBLIC', 'notes')
  t.after(() => postgres.query('GRANT SELECT ON pg_catalog.pg_stat_ssl TO PUBLIC', 'notes'))
  const report = await diagnose(options)
  const { status, finding } = stepOf(report, 'encryption')
  assert.deepEqual([status, finding], ['unknown', 'not readable: permission denied for view pg_stat_ssl'])
  assert.deepEqual([report.ok, stepOf(report, 'writes').status], [true, 'ok'])
})

test('says where the connection is lost on the way through the database', async t => {
  const { options } = await gate()
  // In the place of the view that a step looks at, one that ends the session that looks.
  await postgres.query(
    `CREATE VIEW public.pg_stat_ssl AS SELECT pg_backend_pid() AS pid, true AS ssl, ''::text AS version, ''::text AS cipher
       WHERE pg_terminate_backend(pg_backend_pid());
     GRANT SELECT ON public.pg_stat_ssl TO PUBLIC;
     ALTER ROLE notes_app SET search_path = public, pg_catalog`,
    'notes',
  )
  t.after(() =>
    postgres.query('DROP VIEW public.pg_stat_ssl; ALTER ROLE notes_app RESET search_path', 'notes'),
  )
  const report = await diagnose(options)
  assert.equal(stepOf(report, 'encryption').status, 'failed')
  assert.equal(stepOf(report, 'encryption').code, 'RDS_IAM_UNAVAILABLE')
})
