import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { makeGate } from '../../src/gateway/gate.ts'
import { readOptions } from '../../src/gateway/settings.ts'
import { countTokens } from '../../src/gateway/token-count.ts'
import type { Decision, GatewayOptions } from '../../src/index.ts'
import { region, signToken } from './support.ts'

const endpoints = [{ host: 'localhost', port: 5432 }]
const attempt = { client: '127.0.0.1:50123', user: 'app', database: 'orders' }
const resourceId = 'db-ABCDEFGHIJKL01234'
const token = await signToken({ port: 5432 })
const start = Date.now()

function openGate(options: Partial<GatewayOptions> = {}) {
  const decisions: Decision[] = []
  const onDecision = (decision: Decision) => decisions.push(decision)
  const settings = readOptions({ upstream: { port: 5432 }, region, onDecision, now: () => start, ...options })
  return { gate: makeGate(settings, endpoints), decisions }
}

/** A policy that lets one user connect. */
const policyFor = (user: string) => ({
  resourceId,
  document: {
    Version: '2012-10-17',
    Statement: {
      Effect: 'Allow',
      Action: 'rds-db:connect',
      Resource: `arn:aws:rds-db:eu-west-1:123456789012:dbuser:${resourceId}/${user}`,
    },
  },
})

test('admits a valid token where neither users nor a policy are given, and says what is valid', () => {
  const { reason, detail, tokenId, tokenSignedAt } = openGate().gate.judge(attempt, token)
  assert.equal(reason, undefined)
  assert.equal(detail, 'the token of "defaultkey" is valid')
  assert.match(tokenId ?? '', /^[0-9a-f]{12}$/)
  assert.ok(tokenSignedAt instanceof Date && start - tokenSignedAt.getTime() < 60_000)
})

test('admits whom the policy lets in, and nobody else, whose valid token is named all the same', () => {
  const allowed = openGate({ policy: policyFor('app') }).gate.judge(attempt, token)
  assert.equal(allowed.reason, undefined)
  assert.match(allowed.detail, /^the token of "defaultkey" is valid; .*allow/)
  const denied = openGate({ policy: policyFor('other') }).gate.judge(attempt, token)
  assert.equal(denied.reason, 'NotAuthorized')
  assert.match(denied.detail, /^the token of "defaultkey" is valid; .*dbuser:db-ABCDEFGHIJKL01234\/app/)
  assert.equal(denied.tokenId, allowed.tokenId)
})

test('refuses a user who is none for IAM before anything is asked for, whatever the token', () => {
  const { gate } = openGate({ users: ['app'] })
  assert.equal(gate.judgeUser('app'), undefined)
  assert.equal(gate.judge(attempt, token).reason, undefined)
  const stranger = { reason: 'NotIamUser', detail: '"App" is not among the IAM users of this gateway' }
  assert.deepEqual(gate.judgeUser('App'), stranger)
  assert.deepEqual(gate.judge({ ...attempt, user: 'App' }, token), stranger)
  assert.equal(openGate().gate.judgeUser('App'), undefined)
})

test('looks at the user, the limit, the token and the policy in this order', () => {
  const { gate } = openGate({ users: ['app'], maxConnectionsPerSecond: 1, policy: policyFor('other') })
  const reasonOf = (user: string, text: string) => gate.judge({ ...attempt, user }, text).reason
  // Who is no IAM user takes no place of the limit.
  assert.equal(reasonOf('stranger', token), 'NotIamUser')
  assert.equal(reasonOf('app', 'a password'), 'InvalidToken')
  assert.equal(reasonOf('app', token), 'ThrottlingException')
  assert.equal(reasonOf('stranger', token), 'NotIamUser')
})

test('says which limit was reached, and lets in again a second later', () => {
  let nowMs = start
  const { gate } = openGate({ maxConnectionsPerSecond: 2, now: () => nowMs })
  const judge = () => gate.judge(attempt, token)
  assert.deepEqual([judge().reason, judge().reason], [undefined, undefined])
  assert.deepEqual(judge(), {
    reason: 'ThrottlingException',
    detail: 'more than 2 new connections within a second',
  })
  nowMs += 999
  assert.equal(judge().reason, 'ThrottlingException')
  nowMs += 1
  assert.equal(judge().reason, undefined)
})

test('verifies a user of characters that only some encode', async () => {
  const user = "o'hara!(*)"
  const text = await signToken({ port: 5432 }, { username: user })
  assert.equal(openGate().gate.judge({ ...attempt, user }, text).reason, undefined)
})

test('counts a token once for as long as it can come, and not much longer', () => {
  const tokens = countTokens()
  tokens.add('a', 0)
  tokens.add('b', 1)
  tokens.add('a', 20 * 60_000)
  assert.equal(tokens.total(), 2)
  tokens.add('a', 20 * 60_000 + 1)
  assert.equal(tokens.total(), 3)
  tokens.add('b', 20 * 60_000 + 1)
  assert.equal(tokens.total(), 3)
})

test('judges a token by the clock of the gateway', () => {
  const { gate } = openGate({ now: () => start + 16 * 60_000 })
  assert.equal(gate.judge(attempt, token).reason, 'ExpiredToken')
})

test('counts connections, decisions and distinct valid tokens, those that the policy refuses included', () => {
  const { gate } = openGate({ users: ['app'], policy: policyFor('other') })
  assert.deepEqual(gate.counts(), { connections: 0, admitted: 0, refused: 0, tokens: 0 })
  for (const text of [token, token, 'a password', token.replace('=app', '=App')])
    gate.record(attempt, gate.judge(attempt, text))
  gate.record(attempt, gate.judge({ ...attempt, user: 'stranger' }, token))
  assert.deepEqual(gate.counts(), { connections: 5, admitted: 0, refused: 5, tokens: 1 })
  gate.record(attempt, { detail: 'let in' })
  assert.deepEqual(gate.counts(), { connections: 5, admitted: 1, refused: 5, tokens: 1 })
})

test('records an attempt with what was decided, by the clock of the gateway', () => {
  const { gate, decisions } = openGate()
  const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' }
  gate.record({ ...attempt, tls }, { detail: 'let in', tokenId: '0123456789ab' })
  gate.record(attempt, { reason: 'NotEncrypted', detail: 'in the clear' })
  assert.deepEqual(decisions, [
    {
      at: new Date(start),
      ...attempt,
      tls,
      verdict: 'admitted',
      detail: 'let in',
      tokenId: '0123456789ab',
    },
    {
      at: new Date(start),
      ...attempt,
      verdict: 'refused',
      reason: 'NotEncrypted',
      detail: 'in the clear',
    },
  ])
})

for (const [title, thrown, shown] of [
  ['an error', new Error('the disk is full'), 'the disk is full'],
  ['something else, which is not shown', 'a secret', 'no error'],
] as const) {
  test(`warns where a listener throws ${title}, and decides all the same`, async () => {
    const onDecision = () => {
      throw thrown
    }
    const { gate } = openGate({ onDecision })
    const warned = once(process, 'warning')
    gate.record(attempt, { detail: 'let in' })
    assert.equal(gate.counts().admitted, 1)
    const [warning] = await warned
    assert.equal(warning.message, `onDecision of the gateway threw: ${shown}`)
  })
}
