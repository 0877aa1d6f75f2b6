import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { App, Stack } from 'aws-cdk-lib'
import { Runtime } from 'aws-cdk-lib/aws-lambda'
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs'
import { NotInstalled, startDatabase } from 'rds-iam-kit'
import { bundlingForMysql } from '../src/bundling.ts'
import { invoke } from './invoke.ts'

const server = await startDatabase({
  engine: 'mysql',
  users: ['orders_app'],
  setup: `CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, total integer NOT NULL);
    INSERT INTO orders (total) VALUES (12), (30)`,
}).catch(error => {
  if (error instanceof NotInstalled) return error
  throw error
})

const skip = server instanceof NotInstalled && server.message
test('the settings for mysql2 make a bundle that reads rows', { skip }, async () => {
  assert.ok(!(server instanceof NotInstalled))
  const outdir = mkdtempSync(join(tmpdir(), 'cdk-out-'))
  try {
    const stack = new Stack(new App({ outdir }), 'Orders')
    new NodejsFunction(stack, 'Function', {
      entry: join(import.meta.dirname, '../src/functions/orders-mysql.ts'),
      runtime: Runtime.NODEJS_24_X,
      bundling: bundlingForMysql,
    })
    const [asset = ''] = readdirSync(outdir).filter(name => name.startsWith('asset.'))
    assert.deepEqual(await invoke({ folder: join(outdir, asset), file: 'index.mjs' }, server.environment), {
      result: [
        { id: 1, total: 12 },
        { id: 2, total: 30 },
      ],
    })
  } finally {
    rmSync(outdir, { recursive: true, force: true })
    await server.close()
  }
})
