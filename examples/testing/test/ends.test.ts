import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startDatabase } from 'rds-iam-kit'

// It outlives the runners, so that only they can end their connections.
const database = await startDatabase({
  engine: 'postgres',
  users: ['orders_app'],
  setup: 'CREATE TABLE orders (id serial PRIMARY KEY, customer integer, total integer)',
})
after(() => database.close())
await database.query('INSERT INTO orders (customer, total) VALUES (7, 12)')

const folder = fileURLToPath(new URL('..', import.meta.url))

/** The program of a package, to be started without a shell between. */
function programOf(name: string, file: string): string {
  return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), file)
}

const runners = {
  'node:test': ['--test', 'test/ends/node.test.ts'],
  Vitest: [programOf('vitest', 'vitest.mjs'), 'run', 'test/ends/vitest.test.ts'],
  Jest: ['--experimental-vm-modules', programOf('jest', 'bin/jest.js'), 'test/ends/jest.test.ts'],
}

for (const [name, args] of Object.entries(runners)) {
  for (const close of ['yes', 'no']) {
    const how =
      close === 'yes' ? 'where the test closes the connection' : 'where nobody closes the connection'
    test(`${name} ends by itself ${how}`, async () => {
      const { admitted } = database.stats()
      // With the first variable, a node:test in a node:test runs nothing.
      const { NODE_TEST_CONTEXT: _, ...others } = process.env
      const runner = spawn(process.execPath, args, {
        cwd: folder,
        env: { ...others, ...database.environment, CLOSE: close },
        stdio: ['ignore', 'pipe', 'pipe'],
        // A group of its own, which can be ended together with the processes that it starts.
        detached: true,
      })
      const end = setTimeout(() => process.kill(-Number(runner.pid), 'SIGKILL'), 60_000)
      let output = ''
      for (const stream of [runner.stdout, runner.stderr])
        stream.setEncoding('utf8').on('data', text => {
          output += text
        })
      const [code] = await once(runner, 'close')
      clearTimeout(end)
      assert.equal(code, 0, output)
      // What Jest and Vitest say where they have to force an end.
      assert.doesNotMatch(output, /did not exit|failed to exit|timed out|open handle/i)
      assert.equal(database.stats().admitted, admitted + 1)
      while (database.stats().open > 0) await setImmediate()
    })
  }
}
