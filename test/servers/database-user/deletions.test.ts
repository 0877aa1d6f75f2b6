import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findMysqlKinds } from '../../support/database.ts'
import { holdTests } from '../../support/registration.ts'
import {
  buildFunctions,
  master,
  openCustomResource,
  password,
  type ServerName,
  secretArn,
} from './support.ts'

const allRegistered = holdTests()

const { kinds, missing } = findMysqlKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const folders = await buildFunctions()
for (const name of ['postgres', ...kinds] as const) await testDeletions(name)

async function testDeletions(name: ServerName): Promise<void> {
  const { server, resource } = await openCustomResource(name, folders)
  const { engine, query } = server
  const { properties, send, front, aws, startInner, tasks } = resource
  const isPostgres = engine === 'postgres'
  const idOf = (host = 'localhost', database = 'notes') =>
    `${engine}://${host}:${front.port}/${database}/notes_app`
  const exists = async () =>
    (
      await query(
        isPostgres
          ? "SELECT 1 FROM pg_roles WHERE rolname = 'notes_app'"
          : "SELECT 1 FROM mysql.user WHERE user = 'notes_app'",
      )
    ).length > 0
  const create = async (changes: object = {}) => {
    const answer = await send({ ResourceProperties: { ...properties, ...changes } })
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    return answer.PhysicalResourceId ?? ''
  }
  const remove = (PhysicalResourceId: string, ResourceProperties: unknown = properties) =>
    send({
      RequestType: 'Delete',
      PhysicalResourceId,
      ResourceProperties: ResourceProperties as typeof properties,
    })

  for (const [what, given] of [
    ['of another version', { ServiceToken: 'x', Endpoint: 'localhost', Username: 'notes_app' }],
    ['that no creation would take', { ...properties, Port: 'x', Grants: 'all', Extra: '1' }],
    ['null', null],
  ] as const) {
    test(`${name}: a deletion needs no properties: ${what}`, async () => {
      const id = await create()
      const answer = await remove(id, given)
      assert.equal(answer.Status, 'SUCCESS', answer.Reason)
      assert.match(answer.Reason, /^Dropped /)
      assert.equal(await exists(), false)
    })
  }

  for (const id of [
    'somebody-elses-id',
    'postgres://',
    `${engine}://localhost:x/notes/notes_app`,
    `${engine}://localhost:1/notes/%`,
    `${engine}://user@localhost:1/notes/notes_app`,
    'oracle://localhost:1521/notes/notes_app',
    '',
  ]) {
    test(`${name}: nothing was ever created as ${JSON.stringify(id)}`, async () => {
      const asked = tasks.length
      const answer = await remove(id)
      assert.deepEqual(
        [answer.Status, answer.Reason],
        ['SUCCESS', 'Nothing was ever created under this physical ID.'],
      )
      assert.equal(tasks.length, asked)
    })
  }

  test(`${name}: a deletion succeeds where the user is gone`, async () => {
    const id = await create()
    await query(
      isPostgres ? 'DROP OWNED BY notes_app; DROP USER notes_app' : "DROP USER 'notes_app'@'%'",
      'notes',
    )
    const answer = await remove(id)
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.match(answer.Reason, /is not there\.$/)
  })

  test(`${name}: a deletion drops the user of a database that is gone`, async () => {
    await query(isPostgres ? `CREATE DATABASE gone OWNER ${master}` : 'CREATE DATABASE gone')
    const changes = { Database: 'gone', Setup: [], Grants: [] }
    const id = await create(changes)
    await query('DROP DATABASE gone')
    const answer = await remove(id, { ...properties, ...changes })
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.match(answer.Reason, /^Dropped /)
    assert.equal(await exists(), false)
  })

  test(`${name}: a deletion succeeds where the secret is gone, and says what may be left`, async t => {
    t.after(() => aws.secrets.set(secretArn, JSON.stringify({ username: master, password })))
    const id = await create()
    aws.secrets.delete(secretArn)
    const answer = await remove(id)
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.match(
      answer.Reason,
      /^The secret .* could not be read: ResourceNotFoundException.* if localhost is still there, its user "notes_app" is too\.$/,
    )
    aws.secrets.set(secretArn, JSON.stringify({ username: master, password }))
    assert.match((await remove(id)).Reason, /^Dropped /)
  })

  test(`${name}: a deletion succeeds where the server is gone`, async () => {
    // A name that no DNS has: https://www.rfc-editor.org/rfc/rfc6761#section-6.4
    const Host = 'gone.invalid'
    const answer = await send(
      { RequestType: 'Delete', PhysicalResourceId: idOf(Host) },
      { template: { ...properties, Host } },
    )
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.equal(answer.Reason, 'gone.invalid is not there any more, and so neither is "notes_app".')
    const created = await send({ ResourceProperties: { ...properties, Host } })
    assert.equal(created.Status, 'FAILED')
    assert.match(created.Reason, /ENOTFOUND/)
  })

  const mayBeLeft =
    /Not dropped: if localhost is still there, its user "notes_app" is too\..*aws cloudformation delete-stack --stack-name arn:aws:cloudformation:\S+ --retain-resources NotesUser$/
  for (const [what, secret, reason] of [
    ['the secret is no JSON', 'hunter2', /is no JSON with the texts username and password/],
    [
      'the password is wrong',
      JSON.stringify({ username: master, password: 'a wrong one' }),
      /notes_admin@localhost/,
    ],
  ] as const) {
    test(`${name}: a deletion fails where ${what}, and says how to finish`, async t => {
      t.after(() => aws.secrets.set(secretArn, JSON.stringify({ username: master, password })))
      const id = await create()
      aws.secrets.set(secretArn, secret)
      const answer = await remove(id)
      assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id])
      assert.match(answer.Reason, reason)
      assert.match(answer.Reason, mayBeLeft)
      assert.equal(await exists(), true)
    })
  }

  test(`${name}: a deletion fails where the server does not answer, and says how to finish`, async t => {
    t.after(() => {
      front.isSilent = false
    })
    const id = await create()
    front.isSilent = true
    await startInner({}, 25_000)
    const answer = await remove(id)
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id])
    assert.match(answer.Reason, mayBeLeft)
    front.isSilent = false
    await startInner()
    assert.match((await remove(id)).Reason, /^Dropped /)
  })

  test(`${name}: a deletion fails where the function for the SQL cannot be invoked, and says how to finish`, async t => {
    t.after(() => startInner())
    aws.functions.delete('sql')
    const answer = await remove(idOf())
    assert.equal(answer.Status, 'FAILED')
    assert.match(answer.Reason, /^sql could not be invoked: ResourceNotFoundException/)
    assert.match(answer.Reason, mayBeLeft)
  })

  test(`${name}: no secret is in any log, reason or answer`, () => {
    const all = [resource.logs(), ...aws.answers.map(({ text }) => text)].join('\n')
    for (const secret of [password, JSON.stringify(password).slice(1, -1), 'hunter2', 'a wrong one'])
      assert.ok(!all.includes(secret))
  })
}

allRegistered()
