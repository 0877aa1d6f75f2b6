import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { nodeFlags } from '../../../test/support/node-process.ts'
import { startPostgres } from '../../../test/support/servers.ts'
import type { Postgres } from '../../src/database/postgres.ts'
import { createPostgresDatabase } from '../../src/database/postgres-database.ts'

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

async function dataFolder(postgres: Postgres): Promise<string> {
  const [row] = await postgres.query(`SELECT current_setting('data_directory') AS folder`)
  return String(row?.folder)
}

test('starts PostgreSQL on loopback and leaves neither a process nor a file', async () => {
  const postgres = await startPostgres()
  const [row] = await postgres.query(
    'SELECT version() AS version, current_user AS user, inet_server_addr() AS address',
  )
  assert.ok(String(row?.version).startsWith(`${postgres.name} `))
  assert.deepEqual({ user: row?.user, address: row?.address }, { user: 'postgres', address: '127.0.0.1' })
  const folder = await dataFolder(postgres)
  await postgres.stop()
  assert.throws(() => process.kill(postgres.pid, 0), { code: 'ESRCH' })
  assert.equal(await isOpen(postgres.port), false)
  assert.equal(existsSync(folder), false)
})

test('takes another port where the wanted one is taken', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const taken = (other.address() as AddressInfo).port
  const postgres = await startPostgres({ port: taken })
  try {
    assert.notEqual(postgres.port, taken)
    assert.deepEqual(await postgres.query('SELECT 1 AS one'), [{ one: 1 }])
  } finally {
    await postgres.stop()
    other.close()
  }
})

test('says what the server said when it does not start', async () => {
  await assert.rejects(startPostgres({ maxConnections: -1 }), /did not start.*[\s\S]*max_connections/)
})

test('makes database users as RDS documents them', async () => {
  const postgres = await startPostgres()
  try {
    const [database, user] = ['orders', 'Orders app']
    await createPostgresDatabase(postgres, database, [user])
    assert.deepEqual(
      await postgres.query(`SELECT pg_has_role('${user}', 'rds_iam', 'member') AS member`, database),
      [{ member: true }],
    )
    await createPostgresDatabase(postgres, 'other', ['other'])
  } finally {
    await postgres.stop()
  }
})

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGKILL', null],
] as const) {
  test(`leaves nothing when ${signal} ends the process that started it`, { timeout: 30_000 }, async () => {
    const module = new URL('../../../test/support/servers.ts', import.meta.url).href
    const script = `
      import { startPostgres } from ${JSON.stringify(module)}
      const postgres = await startPostgres()
      const [{ folder }] = await postgres.query("SELECT current_setting('data_directory') AS folder")
      console.log(JSON.stringify({ port: postgres.port, folder }))
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, [...nodeFlags, '--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(child.stdout.setEncoding('utf8'), 'data')
    const { port, folder } = JSON.parse(line) as { port: number; folder: string }
    assert.equal(await isOpen(port), true)
    child.kill(signal)
    const [code] = await once(child, 'exit')
    assert.equal(code, status)
    // A killed process cleans up nothing itself: its watcher does, soon.
    while (signal === 'SIGKILL' && existsSync(folder)) await setImmediate()
    assert.equal(await isOpen(port), false)
    assert.equal(existsSync(folder), false)
  })
}

test('does not keep a process from ending that forgot to stop it', async () => {
  const module = new URL('../../../test/support/servers.ts', import.meta.url).href
  const script = `import { startPostgres } from ${JSON.stringify(module)}; console.log((await startPostgres()).port)`
  const child = spawn(process.execPath, [...nodeFlags, '--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [port] = await once(child.stdout.setEncoding('utf8'), 'data')
  assert.deepEqual(await once(child, 'exit'), [0, null])
  assert.equal(await isOpen(Number(port)), false)
})
