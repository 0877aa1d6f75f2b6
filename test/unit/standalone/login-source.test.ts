import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { TLSSocket } from 'node:tls'
import { RdsIamError } from '../../../src/index.ts'
import { createLoginSource, type LoginAttempt } from '../../../src/standalone/login-source.ts'

const host = 'orders.c1x2.eu-west-1.rds.amazonaws.com'
const refused = () => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
const source = (options: object = {}) =>
  createLoginSource('postgres', { host, user: 'orders_app', signer: neverSign, ...options })
const neverSign = async (): Promise<string> => {
  throw new Error('nobody asked for a token')
}
const noDiscard = () => assert.fail('nothing came too late')

test('gives an attempt where to connect to, and TLS that verifies the endpoint and nothing else', async () => {
  const endpoint = { host, port: 5432 }
  const through = source({ host: '127.0.0.1', port: 6432, endpoint })
  assert.deepEqual(through.target, {
    ...{ host: '127.0.0.1', port: 6432, endpoint },
    ...{ user: 'orders_app', database: 'orders_app' },
  })
  const attempt = async ({ host: dialled, port, tls }: LoginAttempt) => ({ dialled, port, tls })
  const { dialled, port, tls } = await through.open({ attempt, discard: noDiscard })
  assert.deepEqual([dialled, port, tls.servername], ['127.0.0.1', 6432, host])
  assert.equal(tls.rejectUnauthorized, true)
  assert.ok(tls.checkServerIdentity('127.0.0.1', { subject: { CN: '127.0.0.1' } }) instanceof Error)
})

test('gives no token to a socket that is not verified TLS', async () => {
  for (const socket of [new Socket(), new TLSSocket(new Socket())]) {
    const attempt = ({ token }: LoginAttempt) => token(socket as TLSSocket)
    await assert.rejects(source().open({ attempt, discard: noDiscard }), {
      code: 'RDS_IAM_TRUST',
      message: /not verified TLS to orders\.c1x2.*no authentication token was sent/,
    })
  }
})

test('tries again what passes, until the time is over, and says how often', async () => {
  let attempts = 0
  const opening = source({ connectTimeoutMs: 700 }).open({
    database: 'other',
    async attempt() {
      attempts += 1
      throw refused()
    },
    discard: noDiscard,
  })
  await assert.rejects(opening, (error: RdsIamError) => {
    assert.equal(error.code, 'RDS_IAM_UNREACHABLE')
    assert.match(error.message, new RegExp(`/other in eu-west-1 after ${attempts} attempts in \\d\\.\\d s: `))
    return true
  })
  assert.ok(attempts >= 2, String(attempts))
})

test('does not try again what does not pass', async () => {
  let attempts = 0
  const opening = source().open({
    async attempt() {
      attempts += 1
      throw new Error('the client has left')
    },
    discard: noDiscard,
  })
  await assert.rejects(opening, /orders_app in eu-west-1: the client has left\.$/)
  assert.equal(attempts, 1)
})

test('gives an attempt up when the time is over, with the reason', async () => {
  const opening = source({ connectTimeoutMs: 60 }).open({
    attempt: ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    discard: noDiscard,
  })
  await assert.rejects(opening, { code: 'RDS_IAM_UNREACHABLE', message: /no connection within 60 ms/ })
})

test('begins another attempt beside a silent one, and discards the one that comes too late', async () => {
  const { promise: first, resolve } = Promise.withResolvers<string>()
  const discarded: string[] = []
  const signals: AbortSignal[] = []
  const opened = await source({ connectTimeoutMs: 2_500 }).open({
    async attempt({ signal }) {
      signals.push(signal)
      return signals.length === 1 ? first : 'second'
    },
    discard: connection => void discarded.push(connection),
  })
  assert.equal(opened, 'second')
  assert.equal(signals[0]?.aborted, true)
  resolve('first')
  await new Promise(done => setImmediate(done))
  assert.deepEqual(discarded, ['first'])
})

test('names every wrong option at once, and whose they are', () => {
  const wrong = { host: '10.0.0.1', user: ' ', max: 3, ssl: false }
  assert.throws(() => createLoginSource('mysql', wrong as never, 'startProxy'), {
    code: 'RDS_IAM_OPTIONS',
    message: /^startProxy: 4 options are wrong:\n/,
  })
  assert.throws(() => createLoginSource('postgres', { user: 'a', host: '' }), RdsIamError)
})
