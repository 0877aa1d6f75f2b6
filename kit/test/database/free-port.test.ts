import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOnFreePort } from '../../src/database/free-port.ts'

const taken = { log: 'could not bind: Address already in use' }

test('starts a server on the wanted port, and on another one where that is taken', async () => {
  const ports: number[] = []
  const start = async (port: number) => {
    ports.push(port)
    return ports.length === 1 ? taken : { pid: 7 }
  }
  const server = await startOnFreePort('Server', start, 5432)
  assert.deepEqual(server, { pid: 7, port: ports[1] })
  assert.equal(ports[0], 5432)
})

test('says what the server said when it does not start, and does not try that again', async () => {
  let attempts = 0
  const start = async () => {
    attempts += 1
    return { log: 'no space left on device' }
  }
  await assert.rejects(startOnFreePort('Server', start, 5432), {
    message: 'Server did not start on 127.0.0.1:5432:\nno space left on device',
  })
  assert.equal(attempts, 1)
})

test('gives up where every port is taken', async () => {
  await assert.rejects(
    startOnFreePort('Server', async () => taken),
    /did not start on 127\.0\.0\.1:\d+:\n.*already/,
  )
})
