import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { after, it } from 'node:test'
import { createConnection } from 'mysql2'
import { nodeFlags } from '../../../test/support/node-process.ts'
import type { Gateway, ProxyOptions } from '../../src/index.ts'
import { describeAnyMysql, openMysqlGateway } from '../gateway/mysql-support.ts'
import {
  openGateway,
  openPostgres,
  openWire,
  packets,
  region,
  type Scope,
  standIn,
} from '../gateway/support.ts'

const megabyte = 1_000_000
const resultBytes = 200 * megabyte
/** What of a result may be held, with room for the process's own doings. */
const heldBytes = 10 * megabyte

/** Starts a proxy in a process of its own, and counts what the database sends to it. */
async function start(t: Scope, gateway: Gateway, options: Partial<ProxyOptions>) {
  const counter = await openCounter(t, gateway.port)
  const program = new URL('proxy-program.ts', import.meta.url)
  const all = {
    ...{ host: '127.0.0.1', port: counter.port, endpoint: { host: 'localhost', port: gateway.port } },
    ...{ user: 'app', database: 'orders', region, credentials: standIn, tls: { ca: gateway.ca } },
    ...{ password: false, ...options },
  }
  const child = fork(program, [JSON.stringify(all)], { execArgv: [...nodeFlags, '--expose-gc'] })
  t.after(() => child.kill('SIGKILL'))
  const [url] = await once(child, 'message')
  const report = async (): Promise<number> => {
    const answer = once(child, 'message')
    child.send('report')
    return (await answer)[0]
  }
  /** What has been collected counts until another thread has given it back. */
  const used = async (): Promise<number> => Math.min(await report(), await report(), await report())
  /** What is held once nothing more comes from the database. */
  const usedAtRest = async (): Promise<number> => {
    for (let before = -1; before !== counter.bytes(); await new Promise(resolve => setTimeout(resolve, 300)))
      before = counter.bytes()
    return used()
  }
  return { url: new URL(url), port: Number(new URL(url).port), used, usedAtRest }
}

async function openCounter(t: Scope, port: number) {
  let bytes = 0
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}))
    upstream.on('data', chunk => {
      bytes += chunk.length
    })
    client.pipe(upstream).pipe(client)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as { port: number }).port, bytes: () => bytes }
}

await describeAnyMysql({ after }, server => {
  it('holds little of a result of 200 MB whose client stalls', async t => {
    const { gateway } = await openMysqlGateway(t, server)
    const { url, used, usedAtRest } = await start(t, gateway, { engine: 'mysql' })
    const connection = createConnection(url.href)
    t.after(() => connection.destroy())
    const before = await used()
    const digits = Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS n`).join(' UNION ALL ')
    const numbers = `(${digits}) AS a, (${digits}) AS b, (SELECT 0 UNION ALL SELECT 1) AS c`
    const rows = connection.query(`SELECT REPEAT('x', ${megabyte}) FROM ${numbers}`).stream()
    let count = 0
    let most = 0
    for await (const _ of rows) {
      count += 1
      if (count % 50 === 10) most = Math.max(most, (await usedAtRest()) - before)
    }
    assert.equal(count, resultBytes / megabyte)
    assert.ok(most < heldBytes, `${most} bytes are held`)
  })
})

it('holds little of a result of PostgreSQL of 200 MB whose client stalls', async t => {
  const server = await openPostgres(t)
  const { gateway } = await openGateway(t, server)
  const { port, used, usedAtRest } = await start(t, gateway, {})
  const { socket } = await openWire(t, port)
  socket.removeAllListeners('data')
  const before = await used()
  const sql = `SELECT repeat('x', ${megabyte}) FROM generate_series(1, ${resultBytes / megabyte})`
  socket.write(Buffer.concat([packets.startup(), packets.query(sql), packets.terminate]))
  let bytes = 0
  let most = 0
  let next = 10 * megabyte
  for await (const chunk of socket) {
    bytes += chunk.length
    if (bytes < next) continue
    next += 50 * megabyte
    most = Math.max(most, (await usedAtRest()) - before)
  }
  assert.ok(bytes > resultBytes)
  assert.ok(most < heldBytes, `${most} bytes are held`)
})
