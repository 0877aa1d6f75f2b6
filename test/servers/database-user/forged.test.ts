import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { holdTests } from '../../support/registration.ts'
import { answerHost, signature } from './aws.ts'
import {
  buildFunctions,
  master,
  password,
  secretArn,
  stackId,
  startCustomResource,
  startMasterServer,
} from './support.ts'

const allRegistered = holdTests()
const folders = await buildFunctions()
const server = await startMasterServer('postgres')
const resource = await startCustomResource(server, folders)
after(async () => {
  await resource.close()
  await server.stop()
})
const { send, invoke, properties, aws, front, tasks } = resource
const { query } = server
const id = `postgres://localhost:${front.port}/notes/notes_app`
const exists = async (user: string) =>
  (await query(`SELECT 1 FROM pg_roles WHERE rolname = '${user}'`)).length > 0

/** A request as somebody makes it up who may invoke the function: right in all but what is changed. */
const forge = (changes: object) => ({
  RequestType: 'Create',
  ResponseURL: aws.responseUrl,
  StackId: stackId,
  RequestId: 'forged',
  ResourceType: 'Custom::DatabaseUser',
  LogicalResourceId: 'NotesUser',
  ResourceProperties: properties,
  ...changes,
})

// What is deployed, and what the forgers would harm.
const created = await send({})
assert.equal(created.Status, 'SUCCESS', created.Reason)

const stranger = createServer((_, response) => {
  visits += 1
  response.end()
})
let visits = 0
stranger.listen(0, '127.0.0.1')
await once(stranger, 'listening')
const strangerPort = (stranger.address() as AddressInfo).port
after(async () => {
  stranger.close()
  stranger.closeAllConnections()
  await once(stranger, 'close')
})

const path = `/answer?${signature}`
for (const [what, ResponseURL] of [
  ['a stranger', `http://127.0.0.1:${strangerPort}${path}`],
  ['a stranger over https', `https://attacker.example.com${path}`],
  ["somebody's bucket", `https://my-bucket.s3.eu-west-1.amazonaws.com${path}`],
  [
    "somebody's bucket of a similar name",
    `https://cloudformation-custom-resource-response-evil.s3.eu-west-1.amazonaws.com${path}`,
  ],
  ['a host that begins like the right one', `https://${answerHost}.example.com${path}`],
  ['a host that ends like the right one', `https://x${answerHost}${path}`],
  ['the right host without TLS', `http://${answerHost}${path}`],
  ['the right host at another port', `https://${answerHost}:8443${path}`],
  ['another host behind the right one', `https://${answerHost}@attacker.example.com${path}`],
  ['another host behind a user', `https://user:word@${answerHost}${path}`],
  ['another host behind a backslash', `https://attacker.example.com\\@${answerHost}${path}`],
  ['another Region', `https://${answerHost.replaceAll('eu-west-1', 'us-east-1')}${path}`],
  ['an address without a signature', `https://${answerHost}/answer`],
] as const) {
  test(`answers nobody at ${what}, and does nothing for it`, async () => {
    const asked = tasks.length
    const answered = aws.attempts()
    const { error } = await invoke(forge({ ResponseURL }))
    assert.match(error?.errorMessage ?? '', /^Not a request of CloudFormation: its ResponseURL /)
    assert.deepEqual([visits, aws.strangers, tasks.length - asked, aws.attempts() - answered], [0, [], 0, 0])
    assert.ok(!JSON.stringify(error).includes(signature))
  })
}

test('follows no redirection of an answer', async () => {
  const answered = aws.attempts()
  aws.mishaps.push({ location: `http://127.0.0.1:${strangerPort}/` })
  const answer = await send({})
  assert.equal(answer.Status, 'SUCCESS', answer.Reason)
  // To the right address, twice.
  assert.deepEqual([visits, aws.attempts() - answered], [0, 2])
})

const sql = `ALTER ROLE mallory SUPERUSER`
for (const [what, changes, reason] of [
  ['SQL of the sender', { Setup: ['CREATE ROLE forged'] }, /`Setup` is not SETUP/],
  ['one statement more', { Setup: [...(properties.Setup as string[]), sql] }, /`Setup` is not SETUP/],
  ['no setup', { Setup: undefined }, /`Setup` is not SETUP/],
  ['grants of the sender', { Grants: [`${master} TO forged; --`] }, /`Grants` is not GRANTS/],
  ['fewer grants', { Grants: [] }, /`Grants` is not GRANTS/],
  ['another user', { User: 'forged' }, /`User` is not DATABASE_USER/],
  ['another server', { Host: 'forged.example.com' }, /`Host` is not DATABASE_HOST/],
  ['another port', { Port: '5432' }, /`Port` is not DATABASE_PORT/],
  ['another database', { Database: 'other' }, /`Database` is not DATABASE_NAME/],
  ['another secret', { MasterSecretArn: `${secretArn}x` }, /`MasterSecretArn` is not MASTER_SECRET_ARN/],
] as const) {
  for (const RequestType of ['Create', 'Update'] as const) {
    test(`refuses ${what} that the template does not ask for: ${RequestType}`, async () => {
      const asked = tasks.length
      const ResourceProperties = { ...properties, ...changes }
      const request = {
        RequestType,
        ResourceProperties,
        ...(RequestType === 'Update' && { PhysicalResourceId: id }),
      }
      const answer = await send(request, { template: properties })
      assert.equal(answer.Status, 'FAILED')
      assert.equal(answer.PhysicalResourceId, RequestType === 'Update' ? id : 'not-created')
      assert.match(answer.Reason, /^The stack's template asks for something else/)
      assert.match(answer.Reason, reason)
      assert.equal(tasks.length, asked)
      assert.equal(await exists('forged'), false)
    })
  }
}

for (const RequestType of ['Create', 'Update', 'Delete'] as const) {
  test(`refuses another stack: ${RequestType}`, async () => {
    const asked = tasks.length
    const PhysicalResourceId = id
    const StackId = stackId.replace('stack/notes/', 'stack/other/')
    const answer = await send({ RequestType, StackId, PhysicalResourceId }, { template: properties })
    assert.equal(answer.Status, 'FAILED')
    assert.match(
      answer.Reason,
      /^The function is there for the stack .*stack\/notes\/.* alone, not for .*stack\/other\//,
    )
    assert.equal(tasks.length, asked)
    assert.equal(await exists('notes_app'), true)
  })
}

for (const RequestType of ['Create', 'Update'] as const) {
  test(`refuses another resource of the stack: ${RequestType}`, async () => {
    const asked = tasks.length
    const answer = await send({ RequestType, LogicalResourceId: 'Forged', PhysicalResourceId: id })
    assert.equal(answer.Status, 'FAILED')
    assert.match(
      answer.Reason,
      /^The function is there for the resource NotesUser of its stack alone, not for Forged/,
    )
    assert.equal(tasks.length, asked)
    assert.equal(await exists('notes_app'), true)
  })
}

test('drops the user for no other resource of the stack, even if that is deleted under its physical ID', async () => {
  const answer = await send({ RequestType: 'Delete', LogicalResourceId: 'Forged', PhysicalResourceId: id })
  assert.equal(answer.Reason, 'Left "notes_app" alone: Forged of this stack did not make it.')
  assert.equal(await exists('notes_app'), true)
})

test('drops what a resource made that has another name in the template since', async () => {
  const renamed = { ...properties, User: 'renamed' }
  const former = await send(
    { LogicalResourceId: 'FormerUser', ResourceProperties: renamed },
    { resource: 'FormerUser' },
  )
  assert.deepEqual([former.Status, await exists('renamed')], ['SUCCESS', true], former.Reason)
  // The function has the new name already when CloudFormation cleans up.
  const deleted = await send(
    {
      RequestType: 'Delete',
      LogicalResourceId: 'FormerUser',
      PhysicalResourceId: former.PhysicalResourceId ?? '',
      ResourceProperties: renamed,
    },
    { template: properties },
  )
  assert.deepEqual([deleted.Status, await exists('renamed')], ['SUCCESS', false], deleted.Reason)
  assert.equal(await exists('notes_app'), true)
})

test('gives the password to no other server, not even to delete there', async () => {
  const asked = tasks.length
  for (const PhysicalResourceId of [
    `postgres://forged.example.com:${front.port}/notes/notes_app`,
    `postgres://localhost:${server.port}/notes/notes_app`,
  ]) {
    const answer = await send({ RequestType: 'Delete', PhysicalResourceId })
    assert.equal(answer.Status, 'FAILED')
    assert.match(answer.Reason, /the master user's password goes to no other one/)
  }
  assert.equal(tasks.length, asked)
})

test('an old update that comes late, after the stack was rolled back, changes nothing', async () => {
  const late = { ...properties, Grants: ['DELETE ON notes'] }
  // CloudFormation has given up waiting for it, and changed the function back.
  const answer = await send(
    {
      RequestType: 'Update',
      PhysicalResourceId: id,
      ResourceProperties: late,
      OldResourceProperties: properties,
    },
    { template: properties },
  )
  assert.match(answer.Reason, /`Grants` is not GRANTS/)
  const rows = await query(
    "SELECT privilege_type AS kind FROM information_schema.table_privileges WHERE grantee = 'notes_app' ORDER BY 1",
    'notes',
  )
  assert.deepEqual(
    rows.map(({ kind }) => kind),
    ['INSERT', 'SELECT'],
  )
})

test('the same request twice has the same answer', async () => {
  const event = forge({ RequestType: 'Update', RequestId: 'twice', PhysicalResourceId: id })
  resource.tellProgress(event, 'IN_PROGRESS')
  for (const _ of [1, 2]) assert.equal((await invoke(event)).error, undefined)
  const answers = aws.answers.filter(({ body }) => body.RequestId === 'twice').map(({ text }) => text)
  assert.equal(answers.length, 2)
  assert.equal(answers[0], answers[1])
  assert.match(answers[0] ?? '', /SUCCESS/)
})

for (const [what, event] of [
  ['nothing', null],
  ['a text', 'Create'],
  ['an empty object', {}],
  ['a list', [forge({})]],
  ['no type', forge({ RequestType: undefined })],
  ['no stack', forge({ StackId: undefined })],
  ['a stack that is no text', forge({ StackId: { Ref: 'AWS::StackId' } })],
  ['a physical ID that is no text', forge({ PhysicalResourceId: 1 })],
] as const) {
  test(`takes ${what} for no request of CloudFormation`, async () => {
    const { error } = await invoke(event)
    assert.match(error?.errorMessage ?? '', /^Not a request of CloudFormation/)
  })
}

for (const [what, ResourceProperties] of [
  ['no properties', undefined],
  ['null for properties', null],
  ['a text for properties', 'postgres'],
  ['properties of another version', { ServiceToken: 'x', Endpoint: 'x', Users: [] }],
] as const) {
  test(`answers a request that has ${what}`, async () => {
    const answer = await send({ ResourceProperties: ResourceProperties as never }, { template: properties })
    assert.equal(answer.Status, 'FAILED')
    assert.match(answer.Reason, /^Properties of NotesUser are wrong: /)
    const deletion = { RequestType: 'Delete', PhysicalResourceId: `${id}2` } as const
    const deleted = await send({ ...deletion, ResourceProperties: ResourceProperties as never })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
  })
}

test('the function for the SQL takes what it is there for, and no other task', async () => {
  const inner = await resource.startInner()
  const task = {
    action: 'keep',
    engine: 'postgres',
    host: 'localhost',
    port: front.port,
    database: 'notes',
    user: 'forged',
    owner: { stack: stackId, resource: 'NotesUser', id },
    setup: ['CREATE ROLE forged'],
    grants: [],
    master: { username: master, password },
  }
  for (const [event, reason] of [
    [null, /^That is no task/],
    [{}, /^That is no task/],
    [{ ...task, action: 'run' }, /^That is no task/],
    [{ ...task, owner: undefined }, /^That is no task/],
    [{ ...task, host: 'forged.example.com' }, /^The function is there for localhost:/],
    [{ ...task, port: server.port }, /^The function is there for localhost:/],
    [{ ...task, owner: { ...task.owner, stack: 'forged' } }, /^The function is there for localhost:/],
    // Whoever may invoke it, and cannot read the secret.
    [{ ...task, master: { username: master, password: 'guessed' } }, /password authentication failed/],
  ] as const) {
    const { payload, error } = await inner.invoke(event)
    assert.equal(error, undefined)
    assert.match((payload as { failed: string }).failed, reason)
    assert.equal(await exists('forged'), false)
  }
})

test('no password and no signature is in any log, reason or answer', () => {
  const all = [resource.logs(), ...aws.answers.map(({ text }) => text)].join('\n')
  assert.match(all, /FAILED/)
  for (const secret of [password, JSON.stringify(password).slice(1, -1), signature, 'guessed'])
    assert.ok(!all.includes(secret))
})

allRegistered()
