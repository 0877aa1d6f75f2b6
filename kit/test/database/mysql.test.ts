import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import mysql from 'mysql2/promise'
import { nodeFlags } from '../../../test/support/node-process.ts'
import { findMysqlKinds, startMysql } from '../../../test/support/servers.ts'
import type { Mysql } from '../../src/database/mysql.ts'
import { createMysqlDatabase } from '../../src/database/mysql-database.ts'

const module = new URL('../../../test/support/servers.ts', import.meta.url).href

const { kinds, missing } = findMysqlKinds()
if (missing !== '') it('MySQL and MariaDB', { skip: missing }, () => {})

for (const kind of kinds) {
  describe(kind, () => {
    it('starts on loopback, without TLS and without users but root, and leaves neither a process nor a file', async () => {
      const server = await startMysql({ kind })
      const folder = await dataFolder(server)
      assert.equal(server.kind, kind)
      assert.match(server.version, kind === 'mysql' ? /^\d+\.\d+\.\d+(-\d+)?$/ : /^1\d\.\d+\.\d+-MariaDB/)
      const [row] = await server.query('SELECT CURRENT_USER() AS user, @@bind_address AS address')
      assert.deepEqual(row, { user: 'root@localhost', address: '127.0.0.1' })
      const users = await server.query(
        "SELECT user AS user FROM mysql.user WHERE user NOT REGEXP '^(mysql|mariadb)[.]'",
      )
      assert.deepEqual(new Set(users.map(({ user }) => user)), new Set(['root']))
      await server.stop()
      assert.throws(() => process.kill(server.pid, 0), { code: 'ESRCH' })
      assert.equal(await isOpen(server.port), false)
      assert.equal(existsSync(folder), false)
    })

    it('gives the rows of the last statement', async () => {
      const server = await startMysql({ kind })
      try {
        assert.deepEqual(await server.query('SELECT 1 AS one; SELECT 2 AS two'), [{ two: 2 }])
        assert.deepEqual(await server.query('SELECT 1 AS one; CREATE DATABASE d'), [])
        assert.deepEqual(await server.query('CREATE TABLE t (id INT)', 'd'), [])
        assert.deepEqual(await server.query('SELECT id FROM t', 'd'), [])
      } finally {
        await server.stop()
      }
    })

    it('takes another port where the wanted one is taken', async () => {
      const other = createServer().listen(0, '127.0.0.1')
      await once(other, 'listening')
      const taken = (other.address() as AddressInfo).port
      const server = await startMysql({ kind, port: taken })
      try {
        assert.notEqual(server.port, taken)
      } finally {
        await server.stop()
        other.close()
      }
    })

    it('says at which line of its statement a setup fails', async () => {
      const server = await startMysql({ kind })
      try {
        const setup = 'CREATE TABLE one (id INT);\n\nCREATE TABLE two (\n  id INT NOTE NULL DEFAULT 1\n)'
        await assert.rejects(createMysqlDatabase(server, 'orders', ['app'], setup), {
          code: 'RDS_IAM_OPTIONS',
          message:
            /^startDatabase: an option is wrong:\n- `setup` fails: .*at line 2 of its statement \(ER_PARSE_ERROR\)$/s,
        })
      } finally {
        await server.stop()
      }
    })

    it('makes users that reach their own database and no other', async () => {
      const server = await startMysql({ kind })
      try {
        const [database, user] = ['my_orders', "orders' app"]
        await createMysqlDatabase(server, database, [user])
        await createMysqlDatabase(server, 'myxorders', ['other'])
        const connection = await mysql.createConnection({
          host: '127.0.0.1',
          port: server.port,
          user,
          database,
        })
        await connection.query('CREATE TABLE t (id INT)')
        await assert.rejects(connection.query('USE myxorders'), { code: 'ER_DBACCESS_DENIED_ERROR' })
        await connection.end()
      } finally {
        await server.stop()
      }
    })

    for (const [signal, status] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGKILL', null],
    ] as const) {
      it(`leaves nothing when ${signal} ends the process that started it`, { timeout: 30_000 }, async () => {
        const script = `
          import { startMysql } from ${JSON.stringify(module)}
          const server = await startMysql({ kind: '${kind}' })
          const [{ folder }] = await server.query('SELECT @@datadir AS folder')
          console.log(JSON.stringify({ port: server.port, folder }))
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
        // A killed process cleans up nothing itself: its watcher does, soon. What it has killed needs a moment to be gone.
        while (signal === 'SIGKILL' && existsSync(folder)) await setImmediate()
        assert.equal(existsSync(folder), false)
        while (await isOpen(port)) await setImmediate()
      })
    }

    it('does not keep a process from ending that forgot to stop it', { timeout: 30_000 }, async () => {
      const script = `import { startMysql } from ${JSON.stringify(module)}; console.log((await startMysql({ kind: '${kind}' })).port)`
      const child = spawn(process.execPath, [...nodeFlags, '--input-type=module', '--eval', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [port] = await once(child.stdout.setEncoding('utf8'), 'data')
      assert.deepEqual(await once(child, 'exit'), [0, null])
      while (await isOpen(Number(port))) await setImmediate()
    })
  })
}

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

async function dataFolder(server: Mysql): Promise<string> {
  const [row] = await server.query('SELECT @@datadir AS folder')
  return String(row?.folder)
}
