import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { startDatabase } from 'rds-iam-kit'
import { nextOutput, start } from './process.ts'

const scripts = { postgres: 'script.ts', mysql: 'script-mysql.ts' } as const

async function endsByItself(t: TestContext, engine: 'postgres' | 'mysql'): Promise<void> {
  const setup = 'CREATE TABLE visit (id int); INSERT INTO visit VALUES (1), (2)'
  const database = await startDatabase({ engine, users: ['visits_app'], setup }).catch(error => {
    if (error.name !== 'NotInstalled') throw error
    // A machine without this engine's server says so; every other failure is one of the test.
    t.skip(error.message)
  })
  if (!database) return
  t.after(() => database.close())
  const script = start(scripts[engine], database)
  t.after(() => script.kill('SIGKILL'))
  const exit = once(script, 'exit')
  assert.equal(await nextOutput(script), '2\n')
  const printedMs = performance.now()
  assert.deepEqual(await exit, [0, null])
  assert.ok(performance.now() - printedMs < 2000)
}

test('a script with a pool of pg ends by itself, without close()', t => endsByItself(t, 'postgres'))

test('a script with a pool of mysql2 ends by itself, without close()', t => endsByItself(t, 'mysql'))
