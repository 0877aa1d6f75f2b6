// npm run test:sam-build, after `sam build`: what is deployed is what is tested. The functions as SAM CLI built them, run behind the local
// Runtime API on both engines, and the roles as they stand in the template that is deployed.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findMysqlProgram } from '../kit/src/database/mysql-program.ts'
import { buildFunction } from '../local/build-function.ts'
import { engineNames, otherUserName, startSample, startStack } from '../local/stack.ts'
import { type FunctionName, readTemplate, root } from '../local/template.ts'
import { startCustomResource, startMasterServer } from './servers/database-user/support.ts'
import { holdTests } from './support/registration.ts'

const allRegistered = holdTests()

const built = join(root, '.aws-sam', 'build')
const template = readTemplate(join(built, 'template.yaml'))

const events = readdirSync(join(root, 'events')).map(file => ({
  file,
  event: JSON.parse(readFileSync(join(root, 'events', file), 'utf8')) as unknown,
}))

for (const engine of engineNames) {
  const stack = await startStack(engine, { template })
  const sample = await startSample(stack, join(built, stack.functionName))
  after(async () => {
    await sample.stop()
    await stack.database.close()
  })
  for (const { file, event } of events) {
    test(`${stack.functionName} serves events/${file} on ${stack.database.server}`, async () => {
      const { error, payload } = await sample.invoke(event)
      assert.equal(error, undefined)
      assert.ok(payload)
    })
  }
  test(`${stack.functionName} used one connection, and the diagnosis one of its own`, () => {
    const { connections, admitted } = stack.database.stats()
    assert.deepEqual({ connections, admitted }, { connections: 2, admitted: 2 })
  })
  for (const user of [otherUserName, 'Notes_app', 'notes_app2', 'rds_superuser']) {
    test(`${stack.functionName} is not let in as ${user}`, async () => {
      const other = await startSample(stack, join(built, stack.functionName), {
        [stack.variables.user]: user,
      })
      const { error } = await other.invoke({ action: 'list' }, { timeoutMs: 1_500 })
      await other.stop()
      assert.equal(error?.errorType, 'RdsIamError')
      assert.match(
        stack.database.decisions.at(-1)?.reason ?? '',
        user === otherUserName ? /^NotAuthorized$/ : /^NotIamUser$/,
      )
    })
  }
}

for (const [name, resource] of Object.entries(readTemplate().Resources)) {
  if (resource.Type !== 'AWS::Serverless::Function') continue
  test(`${name} is built by SAM CLI to the byte as for the tests, and from sources as new`, async () => {
    const { Handler } = readTemplate().Resources[name as FunctionName].Properties
    const file = Handler.replace(/\.handler$/, '.mjs')
    const folder = await buildFunction(name, readTemplate().Resources[name as FunctionName])
    assert.ok(readFileSync(join(folder, file)).equals(readFileSync(join(built, name, file))))
  })
}

for (const engine of engineNames) {
  test(`creates and drops the database user with both functions as they are deployed, on ${engine}`, async t => {
    const server = await startMasterServer(engine === 'postgres' ? 'postgres' : findMysqlProgram().kind)
    t.after(() => server.stop())
    const outer = join(built, 'DatabaseUserFunction')
    const resource = await startCustomResource(server, {
      outer,
      inner: join(built, 'DatabaseUserSqlFunction'),
    })
    t.after(() => resource.close())
    const created = await resource.send({})
    assert.equal(created.Status, 'SUCCESS', created.Reason)
    const id = { PhysicalResourceId: created.PhysicalResourceId ?? '' }
    const deleted = await resource.send({ RequestType: 'Delete', ...id })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
    assert.match(deleted.Reason, /^Dropped /)
  })
}

test('the built template has the resources of the written one, and the same rights', () => {
  const written = readTemplate()
  assert.deepEqual(Object.keys(template.Resources).sort(), Object.keys(written.Resources).sort())
  for (const [name, { Type, Properties }] of Object.entries(written.Resources)) {
    if (Type === 'AWS::IAM::Role') assert.deepEqual(template.Resources[name]?.Properties, Properties, name)
    if (Type === 'AWS::Serverless::Function')
      assert.deepEqual(template.Resources[name]?.Properties.Role, Properties.Role, name)
  }
})

allRegistered()
