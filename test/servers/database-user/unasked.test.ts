import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findMysqlKinds } from '../../support/database.ts'
import { holdTests } from '../../support/registration.ts'
import { buildFunctions, openCustomResource, type ServerName, secretArn, stackId } from './support.ts'

const allRegistered = holdTests()

const { kinds, missing } = findMysqlKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const folders = await buildFunctions()
for (const name of ['postgres', ...kinds] as const) await testUnasked(name)

/** Requests that are right in every word, and that CloudFormation did not send. */
async function testUnasked(name: ServerName): Promise<void> {
  const { server, resource } = await openCustomResource(name, folders)
  const { engine, query } = server
  const { properties, send, invoke, tellProgress, front, aws, tasks } = resource
  const idOf = (user: string) => `${engine}://localhost:${front.port}/notes/${user}`
  const id = idOf('notes_app')
  const exists = async (user: string) => {
    const [table, column] = engine === 'postgres' ? ['pg_roles', 'rolname'] : ['mysql.user', 'user']
    return (await query(`SELECT 1 FROM ${table} WHERE ${column} = '${user}'`)).length > 0
  }
  let forgeries = 0
  /** Asks as somebody who may invoke the function and knows all that the template says. */
  const forge = async (changes: object) => {
    forgeries += 1
    const RequestId = `forged-${forgeries}`
    const { error } = await invoke({
      ResponseURL: aws.responseUrl,
      StackId: stackId,
      RequestId,
      ResourceType: 'Custom::DatabaseUser',
      LogicalResourceId: 'NotesUser',
      ResourceProperties: properties,
      ...changes,
    })
    assert.equal(error, undefined)
    return aws.answers.find(({ body }) => body.RequestId === RequestId)?.body ?? assert.fail('no answer')
  }
  const deletion = { RequestType: 'Delete', PhysicalResourceId: id } as const
  const renamed = { ...properties, User: 'renamed' }

  test(`${name}: nobody but CloudFormation creates the user`, async () => {
    // Another resource of the stack is being created.
    tellProgress({ RequestType: 'Create', LogicalResourceId: 'NotesTable' }, 'IN_PROGRESS')
    const forged = await forge({ RequestType: 'Create' })
    assert.deepEqual([forged.Status, forged.PhysicalResourceId], ['FAILED', 'not-created'])
    assert.equal(
      forged.Reason,
      'CloudFormation does not wait for this Create: by the events of its stack, NotesUser is not ' +
        'CREATE_IN_PROGRESS but unknown',
    )
    assert.deepEqual([await exists('notes_app'), tasks.length], [false, 0])
    const answer = await send({})
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
  })

  test(`${name}: nobody but CloudFormation drops the user`, async () => {
    const asked = tasks.length
    // Another resource is being deleted, even one that has the physical ID of the user.
    for (const PhysicalResourceId of ['notes-table', id])
      tellProgress({ ...deletion, LogicalResourceId: 'NotesTable', PhysicalResourceId }, 'IN_PROGRESS')
    const answer = await forge(deletion)
    assert.equal(await exists('notes_app'), true)
    assert.deepEqual([answer.Status, answer.PhysicalResourceId, tasks.length - asked], ['FAILED', id, 0])
    assert.ok(
      answer.Reason.startsWith(
        `CloudFormation does not wait for this Delete: by the events of its stack, NotesUser as ${id} is not ` +
          'DELETE_IN_PROGRESS but CREATE_COMPLETE. Not dropped: ',
      ),
      answer.Reason,
    )
  })

  test(`${name}: neither user is dropped before CloudFormation says so where one replaces the other`, async () => {
    const update = { RequestType: 'Update', PhysicalResourceId: id } as const
    tellProgress(update, 'IN_PROGRESS')
    assert.equal((await forge(deletion)).Status, 'FAILED')
    const answer = await send({ ...update, ResourceProperties: renamed, OldResourceProperties: properties })
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    // The stack may still be rolled back, and its functions still connect as the old user.
    assert.equal((await forge(deletion)).Status, 'FAILED')
    // While the old one is cleaned up, the new one is none of that.
    tellProgress(deletion, 'IN_PROGRESS')
    assert.equal((await forge({ ...deletion, PhysicalResourceId: idOf('renamed') })).Status, 'FAILED')
    assert.deepEqual([await exists('notes_app'), await exists('renamed')], [true, true])
    const deleted = await send(deletion)
    assert.match(deleted.Reason, /^Dropped /)
    assert.deepEqual([await exists('notes_app'), await exists('renamed')], [false, true])
  })

  test(`${name}: a replacement that is rolled back ends with the first user alone`, async () => {
    const back = await send({
      RequestType: 'Update',
      PhysicalResourceId: idOf('renamed'),
      ResourceProperties: properties,
      OldResourceProperties: renamed,
    })
    assert.deepEqual([back.Status, back.PhysicalResourceId], ['SUCCESS', id], back.Reason)
    const deleted = await send({ ...deletion, PhysicalResourceId: idOf('renamed') })
    assert.match(deleted.Reason, /^Dropped /)
    assert.deepEqual([await exists('notes_app'), await exists('renamed')], [true, false])
  })

  test(`${name}: CloudFormation drops the user, and nobody makes it again`, async () => {
    const deleted = await send(deletion)
    assert.match(deleted.Reason, /^Dropped /)
    for (const RequestType of ['Create', 'Update'] as const) {
      const answer = await forge({ RequestType, PhysicalResourceId: id })
      assert.equal(answer.Status, 'FAILED')
      assert.match(answer.Reason, /_IN_PROGRESS but DELETE_COMPLETE$/)
    }
    assert.equal(await exists('notes_app'), false)
    // The same deletion again, while CloudFormation waits for the answer to the first.
    tellProgress(deletion, 'IN_PROGRESS')
    const again = await forge(deletion)
    assert.deepEqual([again.Status, again.Reason.endsWith('is not there.')], ['SUCCESS', true])
  })

  // No server has a part in the rest.
  if (engine !== 'postgres') return

  test('nobody but CloudFormation has the setup run and the grants changed', async () => {
    await send({})
    const asked = tasks.length
    const answer = await forge({ RequestType: 'Update', PhysicalResourceId: id })
    assert.deepEqual([answer.Status, answer.PhysicalResourceId, tasks.length - asked], ['FAILED', id, 0])
    assert.match(answer.Reason, /NotesUser is not UPDATE_IN_PROGRESS but CREATE_COMPLETE$/)
  })

  test('a stack that has the name of its resource is not taken for it', async () => {
    const asked = tasks.length
    // The events of a stack are about the stack as well, by its name and with its ARN.
    const stack = { RequestType: 'Update', LogicalResourceId: 'NotesUser', PhysicalResourceId: stackId }
    tellProgress(stack, 'IN_PROGRESS')
    const answer = await forge({ RequestType: 'Update', PhysicalResourceId: id })
    assert.deepEqual([answer.Status, tasks.length - asked], ['FAILED', 0])
    assert.match(answer.Reason, /NotesUser is not UPDATE_IN_PROGRESS but CREATE_COMPLETE$/)
  })

  test(`waits for CloudFormation's events, which come late or when it is asked less often`, async () => {
    const throttled = { status: 400, code: 'Throttling', message: 'Rate exceeded' }
    aws.eventMishaps.push('stale', throttled, 'stale')
    const answer = await send({ RequestType: 'Update', PhysicalResourceId: id })
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.equal(aws.eventMishaps.length, 0)
  })

  const denied = {
    status: 403,
    code: 'AccessDenied',
    message: `User: role is not authorized to perform: cloudformation:DescribeStackEvents on resource: ${stackId}`,
  }

  test('waits for the leave to ask CloudFormation, which may have come with the same update', async () => {
    aws.eventMishaps.push(denied, denied, denied)
    const answer = await send({ RequestType: 'Update', PhysicalResourceId: id })
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.equal(aws.eventMishaps.length, 0)
  })

  test('asks for nothing where CloudFormation may not be asked, and says what is missing', async () => {
    const asked = tasks.length
    const reason =
      /^CloudFormation could not be asked what it does with NotesUser: AccessDenied: User: role is not authorized.*; allow the function's role cloudformation:DescribeStackEvents on the stack/
    aws.eventMishaps.push(...Array(5).fill(denied))
    const deleted = await send(deletion)
    assert.deepEqual([deleted.Status, deleted.PhysicalResourceId], ['FAILED', id])
    assert.match(deleted.Reason, reason)
    assert.match(deleted.Reason, /Not dropped: .*delete-stack --stack-name \S+ --retain-resources NotesUser$/)
    aws.eventMishaps.push(...Array(5).fill(denied))
    const updated = await send({ RequestType: 'Update', PhysicalResourceId: id })
    assert.deepEqual([updated.Status, updated.PhysicalResourceId], ['FAILED', id])
    assert.match(updated.Reason, reason)
    assert.deepEqual([await exists('notes_app'), tasks.length - asked], [true, 0])
  })

  test('a deletion that nobody can do any more needs no leave', async () => {
    for (const PhysicalResourceId of ['not-created', 'notes-NotesUser-1ABCDEFGHIJKL']) {
      const answer = await forge({ ...deletion, PhysicalResourceId })
      assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    }
  })

  test('a deletion that comes after CloudFormation has given it up drops nothing', async () => {
    tellProgress(deletion, 'IN_PROGRESS')
    tellProgress(deletion, 'FAILED')
    const answer = await forge(deletion)
    assert.match(answer.Reason, /is not DELETE_IN_PROGRESS but DELETE_FAILED/)
    assert.equal(await exists('notes_app'), true)
    aws.secrets.delete(secretArn)
    const gone = await send(deletion)
    assert.equal(gone.Status, 'SUCCESS', gone.Reason)
  })
}

allRegistered()
