import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { makeAuthority } from '../../../kit/src/index.ts'
import { startFunction } from '../../../local/function-process.ts'
import { standInIdentity } from '../../../local/stack.ts'
import { root } from '../../../local/template.ts'
import { findMysqlKinds } from '../../support/database.ts'
import { holdTests } from '../../support/registration.ts'
import { signature, startAws } from './aws.ts'
import {
  buildFunctions,
  type CustomResource,
  type MasterServer,
  master,
  password,
  type SendOptions,
  type ServerName,
  secretArn,
  stackId,
  startCustomResource,
  startMasterServer,
  variablesOf,
} from './support.ts'

const allRegistered = holdTests()

const { kinds, missing } = findMysqlKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const folders = await buildFunctions()
const resources: CustomResource[] = []
for (const name of ['postgres', ...kinds] as const) await testRefusals(name)

test('no password and no signature is in any log, reason or answer', () => {
  const all = resources
    .flatMap(({ logs, aws }) => [logs(), ...aws.answers.map(({ text }) => text)])
    .join('\n')
  assert.match(all, /FAILED/)
  for (const secret of [
    password,
    JSON.stringify(password).slice(1, -1),
    signature,
    'a wrong one',
    'hunter2',
  ]) {
    assert.ok(!all.includes(secret), secret)
  }
})

async function testRefusals(name: ServerName): Promise<void> {
  const server = await startMasterServer(name)
  const resource = await startCustomResource(server, folders)
  resources.push(resource)
  after(async () => {
    await resource.close()
    await server.stop()
  })
  const { engine, query } = server
  const { properties, send, front, aws, startInner, tasks } = resource
  const isPostgres = engine === 'postgres'
  const id = `${engine}://localhost:${front.port}/notes/notes_app`
  const exists = async (user: string) =>
    (
      await query(
        isPostgres
          ? `SELECT 1 FROM pg_roles WHERE rolname = '${user}'`
          : `SELECT 1 FROM mysql.user WHERE user = '${user}'`,
      )
    ).length > 0

  /** Sends a creation that must fail, with nothing done that CloudFormation would have to delete. */
  const refuse = async (changes: object, reason: RegExp, options?: SendOptions) => {
    const answer = await send({ ResourceProperties: { ...properties, ...changes } }, options)
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', 'not-created'], answer.Reason)
    assert.match(answer.Reason, reason)
    assert.equal(await exists('notes_app'), false)
    return answer
  }

  for (const user of [master, master.toUpperCase()]) {
    test(`${name}: refuses the master user, spelled ${user}`, async () => {
      await refuse({ User: user }, /`User` is the master user/)
      const deleted = await send({
        RequestType: 'Delete',
        PhysicalResourceId: `${engine}://localhost:${front.port}/notes/${user}`,
        ResourceProperties: { ...properties, User: user },
      })
      assert.match(deleted.Reason, /^Left "notes_admin" alone: it is the master user/i)
      assert.equal(deleted.Status, 'SUCCESS')
      assert.equal(await exists(master), true)
    })
  }

  for (const [changes, reason] of [
    [{ Engine: 'oracle' }, /`Engine` is neither "postgres" nor "mysql".*; got "oracle"/],
    [{ Engine: undefined }, /`Engine` is missing/],
    [{ Host: undefined }, /`Host` is missing/],
    [{ Host: 'postgres://x' }, /`Host` has a scheme/],
    [{ Host: '127.0.0.1' }, /`Host` is an IP address/],
    [{ Port: '0' }, /`Port` is not a port/],
    [{ Database: '' }, /`Database` is not a text/],
    [{ Database: 'x'.repeat(65) }, /`Database` is longer/],
    [{ User: '' }, /`User` is not the name of a database user/],
    [{ User: 'x'.repeat(64) }, /`User` has 64 /],
    [{ User: ['notes_app'] }, /`User` is not the name/],
    [{ MasterSecretArn: undefined }, /`MasterSecretArn` is missing/],
    [{ Grants: 'SELECT ON notes' }, /`Grants` is not a list of texts/],
    [{ Grants: [''] }, /`Grants` is not a list of texts that are not empty/],
    [{ Setup: [{}] }, /`Setup` is not a list/],
    [{ Setup: ['SELECT 1;;SELECT 2'] }, /`Setup` has ";;" within a text/],
    [{ Grant: ['SELECT ON notes'] }, /`Grant` is not a property/],
    [{ Engine: 'oracle', Port: 'x', Extra: '1' }, /`Extra` is not.*`Engine` is neither.*`Port` is not/],
  ] as const) {
    test(`${name}: refuses the properties ${JSON.stringify(changes).slice(0, 60)} before anything is asked for`, async () => {
      const asked = tasks.length
      const options = { template: properties }
      await refuse(changes, /^Properties of NotesUser are wrong: /, options)
      await refuse(changes, reason, options)
      assert.equal(tasks.length, asked)
    })
  }

  for (const [title, secret, reason] of [
    ['is not there', undefined, /could not be read: ResourceNotFoundException/],
    ['is no JSON', 'hunter2', /is no JSON with the texts username and password/],
    ['is null', 'null', /is no JSON with the texts/],
    ['has no username', JSON.stringify({ password: 'hunter2' }), /is no JSON with the texts/],
    ['has no password', JSON.stringify({ username: master, password: '' }), /is no JSON with the texts/],
    [
      'has a wrong password',
      JSON.stringify({ username: master, password: 'a wrong one' }),
      /notes_admin@localhost:\d+\/notes: /,
    ],
  ] as const) {
    test(`${name}: refuses a secret that ${title}`, async t => {
      const right = aws.secrets.get(secretArn) ?? ''
      t.after(() => aws.secrets.set(secretArn, right))
      aws.secrets.delete(secretArn)
      if (secret !== undefined) aws.secrets.set(secretArn, secret)
      await refuse({}, reason)
    })
  }

  test(`${name}: says that the database cannot be reached`, async () => {
    const other = await startCustomResource(server, folders)
    await other.close()
    await refuse({ Port: String(other.front.port) }, /notes_admin@localhost:\d+\/notes: .*ECONNREFUSED/)
  })

  test(`${name}: gives the password to no server without TLS`, async () => {
    await refuse({ Port: String(server.port) }, /does not support (SSL|secure connection)/)
  })

  test(`${name}: gives the password to no server of another authority, whatever the environment says`, async t => {
    t.after(() => startInner())
    const stranger = await makeAuthority('stranger')
    await startInner({ DATABASE_CA: stranger.ca, NODE_TLS_REJECT_UNAUTHORIZED: '0', PGSSLMODE: 'no-verify' })
    await refuse({}, /self-signed certificate|unable to/)
  })

  test(`${name}: says that a database does not exist`, async () => {
    await refuse({ Database: 'nowhere' }, /nowhere/)
  })

  test(`${name}: answers when the function for the SQL times out`, async () => {
    front.isSilent = true
    await startInner({}, 1_500)
    const answer = await send({})
    // Nobody knows what it did, so CloudFormation is to delete what may be there.
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id])
    assert.match(answer.Reason, /^sql failed: Sandbox.Timedout: .*timed out after 1.50 seconds/)
    front.isSilent = false
    await startInner()
    const deleted = await send({ RequestType: 'Delete', PhysicalResourceId: id })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
  })

  test(`${name}: takes back what was done where a statement waits for longer than the function has`, async t => {
    t.after(() => startInner())
    await startInner({}, 15_000)
    const { setup, holder } = await holdTable(server)
    t.after(() => holder.end())
    await refuse({ Setup: [setup] }, /lock.?timeout|Lock wait timeout|statement timeout/)
  })

  for (const sql of isPostgres ? ['COMMIT', 'ROLLBACK'] : []) {
    test(`${name}: has dropped what a ${sql} in the setup left behind`, async () => {
      const ending = { ...properties, Setup: [sql] }
      const answer = await send({ ResourceProperties: ending })
      assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id])
      assert.equal(answer.Reason, `The transaction was ended by: ${sql}`)
      assert.equal(await exists('notes_app'), sql === 'COMMIT')
      const deleted = await send({
        RequestType: 'Delete',
        PhysicalResourceId: id,
        ResourceProperties: ending,
      })
      assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
      assert.equal(await exists('notes_app'), false)
    })
  }

  test(`${name}: has dropped what a function that timed out half-way left behind`, async () => {
    await startInner({}, 2_000)
    const sleep = isPostgres ? ['SET statement_timeout = 0', 'SELECT pg_sleep(3)'] : ['SELECT SLEEP(3)']
    const stuck = { ...properties, Setup: sleep }
    const answer = await send({ ResourceProperties: stuck })
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id], answer.Reason)
    assert.match(answer.Reason, /Sandbox.Timedout/)
    // What PostgreSQL has not committed, nobody sees; in MySQL and MariaDB, the setup comes before the user.
    assert.equal(await exists('notes_app'), false)
    await startInner()
    const deleted = await send({ RequestType: 'Delete', PhysicalResourceId: id, ResourceProperties: stuck })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
    assert.equal(await exists('notes_app'), false)
  })

  test(`${name}: answers when the function for the SQL does not end`, async t => {
    t.after(() => startInner())
    aws.functions.set('sql', () => new Promise(() => {}))
    // Of which most is kept for the answer.
    const answer = await send({}, { timeoutMs: 25_000 })
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id])
    assert.match(answer.Reason, /^sql could not be invoked: AbortError/)
  })

  test(`${name}: answers when the function for the SQL crashes`, async t => {
    t.after(() => startInner())
    await (await startInner()).stop()
    const answer = await send({})
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id])
    assert.match(answer.Reason, /^sql failed: Runtime.ExitError: /)
    const update = await send({
      RequestType: 'Update',
      PhysicalResourceId: 'the-old-one',
      OldResourceProperties: properties,
    })
    assert.deepEqual([update.Status, update.PhysicalResourceId], ['FAILED', 'the-old-one'])
  })

  test(`${name}: answers when the function for the SQL cannot be invoked`, async t => {
    t.after(() => startInner())
    aws.functions.delete('sql')
    await refuse({}, /^sql could not be invoked: ResourceNotFoundException: Function not found: sql/)
  })
}

/** A table that another session keeps to itself. @returns What has to wait for it, and that session. */
async function holdTable({ engine, port }: MasterServer) {
  const server = { host: '127.0.0.1', port, database: 'notes' }
  const setup = 'ALTER TABLE held ADD later integer'
  if (engine === 'mysql') {
    const holder = await mysql.createConnection({ ...server, user: 'root' })
    await holder.query('CREATE TABLE held (id integer)')
    await holder.query('LOCK TABLES held READ')
    return { setup, holder }
  }
  const holder = new pg.Client({ ...server, user: 'postgres', ssl: false })
  await holder.connect()
  await holder.query(`CREATE TABLE held (id integer); ALTER TABLE held OWNER TO ${master}`)
  await holder.query('BEGIN; LOCK TABLE held IN ACCESS SHARE MODE')
  return { setup, holder }
}

await testAnswers()

async function testAnswers(): Promise<void> {
  const server = await startMasterServer('postgres')
  const resource = await startCustomResource(server, folders)
  resources.push(resource)
  after(async () => {
    await resource.close()
    await server.stop()
  })
  const { properties, send, aws, startInner } = resource

  test('answers again where CloudFormation could not be reached twice', async () => {
    const before = aws.attempts()
    aws.mishaps.push(503, 'cut')
    const answer = await send({})
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.equal(aws.attempts() - before, 3)
  })

  test('answers a request of a type that there is not', async () => {
    const answer = await send({ RequestType: 'Rename' })
    assert.deepEqual(
      [answer.Status, answer.PhysicalResourceId, answer.Reason],
      ['FAILED', 'not-created', 'There is no request of the type "Rename"'],
    )
  })

  test('answers as a signed URL takes it: with a length, and without a type', async () => {
    await send({})
    const { headers, text } = aws.answers.at(-1) ?? {}
    assert.equal(headers?.['content-length'], String(Buffer.byteLength(text ?? '')))
    assert.equal(headers?.['content-type'], undefined)
    assert.equal(headers?.['transfer-encoding'], undefined)
  })

  for (const [title, letter] of [
    ['letters', 'x'],
    ['quotes', '"'],
    ['control characters', '\u0001'],
    ['emojis', '😀'],
    ['halves of an emoji', '\ud83d'],
  ] as const) {
    test(`keeps an answer with a very long reason of ${title} below 4 096 bytes`, async t => {
      t.after(() => startInner())
      aws.functions.set('sql', async () => ({ payload: { failed: letter.repeat(9_000), mayRemain: false } }))
      const answer = await send({})
      assert.equal(answer.Status, 'FAILED')
      const { text } = aws.answers.at(-1) ?? { text: '' }
      assert.ok(Buffer.byteLength(text) < 4_096)
    })
  }

  test('keeps the password out of a reason that has it', async t => {
    t.after(() => startInner())
    for (const errorMessage of [`oops: ${password}`, `oops: ${JSON.stringify({ password })}`]) {
      aws.functions.set('sql', async () => ({ error: { errorType: 'Error', errorMessage } }))
      const { Reason } = await send({})
      assert.match(Reason, /^sql failed: Error: oops: .*…/)
    }
  })

  test('takes an answer of the function for the SQL that says nothing for a failure', async t => {
    t.after(() => startInner())
    for (const payload of [null, {}, 'done', { done: 1 }]) {
      aws.functions.set('sql', async () => ({ payload }))
      const answer = await send({})
      assert.deepEqual([answer.Status, answer.Reason], ['FAILED', 'sql gave no answer'])
    }
  })

  test('fails without telling the URL where CloudFormation cannot be answered at all, or is not who asks', async t => {
    const gone = await startAws()
    const outer = await startFunction({
      name: 'DatabaseUserFunction',
      folder: folders.outer,
      handler: 'database-user.handler',
      timeoutMs: 60_000,
      environment: { AWS_REGION: 'eu-west-1', ...gone.environment },
    })
    t.after(() => outer.stop())
    await gone.close()
    const request = {
      RequestType: 'Delete',
      ResponseURL: gone.responseUrl,
      StackId: 'stack',
      RequestId: 'request',
      LogicalResourceId: 'NotesUser',
      PhysicalResourceId: 'not-created',
    }
    const { error } = await outer.invoke(request)
    assert.match(error?.errorMessage ?? '', /^CloudFormation could not be answered: ECONNREFUSED$/)
    for (const event of [null, {}, { ...request, ResponseURL: `nowhere ${signature}` }]) {
      const { error } = await outer.invoke(event)
      assert.match(error?.errorMessage ?? '', /^Not a request of CloudFormation/)
    }
    assert.ok(!outer.logs().includes(signature))
  })

  test('says which package is missing where nobody brings the AWS SDK', async () => {
    const alone = mkdtempSync(join(tmpdir(), 'middy-rds-iam-user-'))
    cpSync(folders.outer, alone, { recursive: true })
    const copy = await startCustomResource(server, { outer: alone, inner: folders.inner })
    try {
      const { Status, Reason, PhysicalResourceId } = await copy.send({})
      assert.deepEqual([Status, PhysicalResourceId], ['FAILED', 'not-created'])
      assert.match(
        Reason,
        /^Cannot find package '@aws-sdk\/client-cloudformation'.* install it beside middy-rds-iam$/,
      )
    } finally {
      await copy.close()
      rmSync(alone, { recursive: true })
    }
  })

  test('says that it was told no function for the SQL', async t => {
    const outer = await startFunction({
      name: 'DatabaseUserFunction',
      folder: folders.outer,
      handler: 'database-user.handler',
      timeoutMs: 60_000,
      environment: { ...standInIdentity, ...aws.environment, ...variablesOf(properties), SQL_FUNCTION: '' },
    })
    t.after(() => outer.stop())
    const RequestId = 'without-a-function'
    const ids = { ResponseURL: aws.responseUrl, StackId: stackId, RequestId, LogicalResourceId: 'NotesUser' }
    resource.tellProgress({ RequestType: 'Create' }, 'IN_PROGRESS')
    await outer.invoke({ RequestType: 'Create', ...ids, ResourceProperties: properties })
    const { Status, Reason, PhysicalResourceId } = aws.answers.at(-1)?.body ?? assert.fail()
    assert.deepEqual([Status, PhysicalResourceId], ['FAILED', 'not-created'])
    assert.equal(Reason, 'The environment variable SQL_FUNCTION names no function that runs the SQL')
  })

  test('writes a line of JSON for each event, with what came of it', async () => {
    const { Status, Reason, PhysicalResourceId } = await send({})
    assert.equal(Status, 'SUCCESS', Reason)
    const lines = resource
      .logs()
      .split('\n')
      .filter(line => line.startsWith('{'))
    const last = (service: string) => {
      const all = lines.map(line => JSON.parse(line) as Record<string, unknown>)
      const { timestamp, ...line } = all.findLast(line => line.service === service) ?? {}
      assert.ok(Math.abs(Date.now() - Date.parse(String(timestamp))) < 60_000)
      return line
    }
    const info = { level: 'INFO', service: 'database-user' }
    const request = { RequestType: 'Create', LogicalResourceId: 'NotesUser' }
    const answer = { Status, Reason, PhysicalResourceId }
    assert.deepEqual(last('database-user'), { ...info, message: 'request settled', ...request, ...answer })
    const user = { engine: 'postgres', user: 'notes_app', host: 'localhost', database: 'notes' }
    assert.deepEqual(last('database-user-sql'), {
      ...info,
      service: 'database-user-sql',
      message: 'task done',
      action: 'keep',
      ...user,
      port: resource.front.port,
      done: Reason,
    })
  })

  test('needs nothing beside the bundles but what Lambda brings, and only the first of them that', async () => {
    const alone = mkdtempSync(join(tmpdir(), 'middy-rds-iam-user-'))
    for (const part of ['outer', 'inner'] as const)
      cpSync(folders[part], join(alone, part), { recursive: true })
    mkdirSync(join(alone, 'outer', 'node_modules'))
    symlinkSync(join(root, 'node_modules', '@aws-sdk'), join(alone, 'outer', 'node_modules', '@aws-sdk'))
    const copy = await startCustomResource(server, {
      outer: join(alone, 'outer'),
      inner: join(alone, 'inner'),
    })
    try {
      const own = { ...properties, Port: String(copy.front.port), User: 'alone' }
      const answer = await copy.send({ ResourceProperties: own })
      assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    } finally {
      await copy.close()
      rmSync(alone, { recursive: true })
    }
  })
}

allRegistered()
