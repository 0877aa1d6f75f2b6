import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { createHandlerInsideVpc, createHandlerOutsideVpc } from '../../../src/database-user/handlers.ts'
import { setEnvironment } from '../../support/environment.ts'

const root = join(import.meta.dirname, '..', '..', '..')

test('the entry loads no package before an invocation needs one', async () => {
  const source = `
    import { registerHooks } from 'node:module'
    const urls = []
    registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
    const { createHandlerInsideVpc, createHandlerOutsideVpc } = await import('middy-rds-iam/database-user')
    createHandlerOutsideVpc()
    createHandlerInsideVpc()
    console.log(JSON.stringify(urls))`
  const flags = ['--conditions=middy-rds-iam-source', '--input-type=module', '--eval', source]
  const { stdout } = await promisify(execFile)(process.execPath, flags, { cwd: root })
  const urls = JSON.parse(stdout) as string[]
  assert.ok(urls.some(url => url.endsWith('/src/database-user/outside-vpc.ts')))
  assert.deepEqual(
    urls.filter(url => url.includes('/node_modules/') || url === 'pg' || url === 'mysql2'),
    [],
  )
})

const database = { engine: 'postgres', host: 'localhost', port: 1, database: 'notes' } as const
const task = {
  ...database,
  action: 'keep',
  owner: { stack: 'stack', resource: 'NotesUser', id: 'id' },
  master: { username: 'admin', password: 'hunter2' },
  user: 'admin',
  setup: [],
  grants: [],
} as const
const silent = { debug() {}, info() {}, warn() {}, error() {} }

for (const [name, create] of Object.entries({ createHandlerInsideVpc, createHandlerOutsideVpc })) {
  test(`${name} names every option that is wrong`, () => {
    const options = { logger: { info() {} }, log: console } as unknown as Parameters<typeof create>[0]
    assert.throws(() => create(options), {
      name: 'RdsIamError',
      code: 'RDS_IAM_OPTIONS',
      message: new RegExp(
        `^${name}: 2 options are wrong:\n- \`log\` is not an option\n- \`logger\` has no method debug`,
      ),
    })
    assert.throws(() => create('x' as never), { code: 'RDS_IAM_OPTIONS' })
    create({})
    create({ logger: undefined })
  })
}

test('the handler inside of the VPC refuses any task where nothing says whose it is', async () => {
  const outcome = await createHandlerInsideVpc({ logger: silent })(task, {
    getRemainingTimeInMillis: () => 60_000,
  })
  const names = '`STACK_ID` is missing; `DATABASE_HOST` is missing; `DATABASE_PORT` is missing'
  assert.ok((outcome as { failed: string }).failed.endsWith(names))
})

test('a logger of the user gets what would be a line of JSON, and nothing goes to standard output', async t => {
  const info = t.mock.fn()
  const logger = { debug() {}, info, warn() {}, error() {} }
  const write = t.mock.method(process.stdout, 'write')
  const handler = createHandlerInsideVpc({ logger })
  const variables = { STACK_ID: 'stack', DATABASE_HOST: 'localhost', DATABASE_PORT: '1' }
  setEnvironment(t, variables)
  const outcome = await handler(task, { getRemainingTimeInMillis: () => 60_000 })
  assert.match((outcome as { failed: string }).failed, /master user/)
  assert.deepEqual(
    info.mock.calls.map(call => call.arguments),
    [['task done', { ...database, action: 'keep', user: 'admin', ...outcome }]],
  )
  assert.ok(write.mock.calls.every(call => !String(call.arguments[0]).includes('task done')))
})
