import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beginEffort, describeEffort, explainEffort, rememberRefusals } from '../../../src/retries/effort.ts'
import { createListeningAccess } from '../../support/fake-session.ts'

const nowMs = Date.UTC(2026, 0, 1)
const refused = Object.assign(new Error('PAM authentication failed for user "app"'), { code: '28000' })
const when = { account: '123456789012', nowMs: nowMs + 4_800, late: () => new Error('timeout expired') }

test('says how often and how long it was tried, where more than once', () => {
  const effort = beginEffort(nowMs)
  effort.attempts = 1
  assert.equal(describeEffort(effort, nowMs + 4_800), undefined)
  effort.attempts = 2
  assert.equal(describeEffort(effort, nowMs + 4_800), '2 attempts in 4.8 s')
  effort.unanswered = 1
  assert.equal(describeEffort(effort, nowMs + 4_800), '2 attempts in 4.8 s, 1 of them without an answer')
})

test('tells who can wait no longer what an effort has failed with, for whom, and what became of the token', () => {
  const { access } = createListeningAccess()
  const effort = beginEffort(nowMs)
  Object.assign(effort, { attempts: 7, refusals: 7, cause: { error: refused, use: 'sent' } })
  const error = explainEffort(access, effort, when)
  assert.equal(error.code, 'RDS_IAM_ACCESS_DENIED')
  assert.equal(error.cause, refused)
  assert.match(error.message, /after 7 attempts in 4\.8 s: PAM .*:123456789012:dbuser:/s)
  assert.deepEqual(access.refusals.known(), { count: 7, sinceMs: nowMs, latestMs: nowMs + 4_800 })
  Object.assign(effort, { cause: { error: refused, use: 'unasked' } })
  assert.equal(explainEffort(access, effort, when).code, 'RDS_IAM_NOT_GRANTED')
})

test('says that the time did not suffice where nothing has failed yet', () => {
  const { access } = createListeningAccess()
  const error = explainEffort(access, beginEffort(nowMs), when)
  assert.equal(error.code, 'RDS_IAM_UNREACHABLE')
  assert.match(error.message, /timeout expired/)
  assert.equal(access.refusals.known(), undefined)
})

test('remembers refusals alone, more than one of them, and the first budget of them', () => {
  const { access } = createListeningAccess()
  const effort = (changes: object) => Object.assign(beginEffort(nowMs), changes)
  rememberRefusals(access, effort({ refusals: 1 }), nowMs)
  rememberRefusals(access, effort({ refusals: 9, isRefusedAlone: false }), nowMs)
  assert.equal(access.refusals.known(), undefined)
  rememberRefusals(access, effort({ refusals: 2 }), nowMs + 1)
  rememberRefusals(access, effort({ refusals: 9 }), nowMs + 2)
  assert.deepEqual(access.refusals.known(), { count: 2, sinceMs: nowMs, latestMs: nowMs + 1 })
})
