import assert from 'node:assert/strict'
import { test } from 'node:test'
import { restoreSession, returnSession } from '../../../src/drivers/returning.ts'
import { createFakeSession, createListeningAccess, type FakeSession } from '../../support/fake-session.ts'

/** Who keeps connections, and what became of them. */
function createKeeper({ reset = true } = {}) {
  const { access, events } = createListeningAccess()
  const became: string[] = []
  return {
    events,
    became,
    access,
    reset,
    keep: () => void became.push('kept'),
    discard: (reason: string) => void became.push(reason),
  }
}

const rolledBack = { event: 'transaction:rolled-back' }

/** What was asked for, without what only the session knows. */
const askedOf = ({ restorings }: FakeSession) =>
  restorings.map(({ rollback, reset }) => ({ rollback, reset }))

/** Long enough for every promise that is settled to have had its say. */
const turn = () => new Promise(resolve => setImmediate(resolve))

test('keeps a session that nobody has touched as it is', () => {
  const [session, keeper] = [createFakeSession(), createKeeper()]
  returnSession(session, keeper)
  assert.deepEqual(session.calls, ['leave'])
  assert.equal(session.restoration, undefined)
  assert.deepEqual([keeper.became, keeper.events], [['kept'], []])
})

for (const [title, changes, given, reason] of [
  ['cannot be used any more', { isUsable: () => false }, undefined, 'ended'],
  ['has a query that is running', { isBusy: () => true }, undefined, 'query-running'],
  ['is to be closed in any case', {}, 'not-released', 'not-released'],
  ['is to be closed for a reason of its own', { isBusy: () => true }, 'cut-off', 'cut-off'],
] as const) {
  test(`closes a session that ${title}, and tells of it`, () => {
    const [session, keeper] = [createFakeSession(changes), createKeeper()]
    returnSession(session, keeper, given)
    assert.deepEqual(session.calls, [])
    assert.deepEqual(keeper.became, [reason])
    assert.deepEqual(keeper.events, [{ event: 'connection:closed', reason, connections: 1 }])
  })
}

test('rolls back a transaction that was left open, tells of it at once, and keeps the session meanwhile', async () => {
  const [session, keeper] = [createFakeSession({ isInTransaction: () => true }), createKeeper()]
  returnSession(session, keeper)
  assert.deepEqual(session.calls, ['leave', 'restore'])
  assert.deepEqual(askedOf(session), [{ rollback: true, reset: false }])
  assert.deepEqual([keeper.became, keeper.events], [['kept'], [rolledBack]])
  const { restoration } = session
  assert.ok(restoration !== undefined)
  session.restorings[0]?.resolve(false)
  assert.equal(await restoration, true)
  await turn()
  assert.equal(session.restoration, undefined)
  assert.deepEqual(keeper.events, [rolledBack])
})

test('sends nothing of it before the end of the turn in which the response is sent', async () => {
  const session = createFakeSession({ isTouched: () => true })
  returnSession(session, createKeeper())
  let isOver = false
  session.restorings[0]?.before?.then(() => {
    isOver = true
  })
  await null
  await null
  assert.equal(isOver, false)
  await turn()
  assert.equal(isOver, true)
})

test('rolls back where the server has not said whether a transaction is open, and tells of it where one was', async () => {
  for (const wasOpen of [true, false]) {
    const [session, keeper] = [createFakeSession({ isInTransaction: () => undefined }), createKeeper()]
    returnSession(session, keeper)
    assert.deepEqual(askedOf(session), [{ rollback: true, reset: false }])
    assert.deepEqual(keeper.events, [])
    session.restorings[0]?.resolve(wasOpen)
    assert.equal(await session.restoration, true)
    assert.deepEqual(keeper.events, wasOpen ? [rolledBack] : [])
  }
})

test('resets a session that was touched, unless it is told not to', () => {
  const session = createFakeSession({ isTouched: () => true })
  returnSession(session, createKeeper())
  assert.deepEqual(askedOf(session), [{ rollback: false, reset: true }])
  const other = createFakeSession({ isTouched: () => true })
  returnSession(other, createKeeper({ reset: false }))
  assert.deepEqual([askedOf(other), other.restoration], [[], undefined])
})

test('waits for what its user has given up and has still to end', () => {
  const session = createFakeSession({ isEnding: () => true })
  returnSession(session, createKeeper())
  assert.deepEqual(askedOf(session), [{ rollback: false, reset: false }])
})

test('remembers that a session could not be restored', async () => {
  const [session, keeper] = [createFakeSession({ isTouched: () => true }), createKeeper()]
  returnSession(session, keeper)
  session.restorings[0]?.reject(new Error('the socket ended'))
  assert.equal(await session.restoration, false)
  await turn()
  assert.equal(await session.restoration, false)
  assert.deepEqual(keeper.events, [])
})

test('tells once of a server that cannot reset a session', async () => {
  const keeper = createKeeper()
  for (let number = 0; number < 2; number += 1) {
    const session = createFakeSession({ isTouched: () => true, canReset: () => false })
    returnSession(session, keeper)
    session.restorings[0]?.resolve(false)
    assert.equal(await session.restoration, true)
  }
  assert.deepEqual(keeper.events, [{ event: 'session:not-reset', reason: 'server' }])
  const other = createKeeper()
  const session = createFakeSession({ isTouched: () => true, canReset: () => false })
  returnSession(session, other)
  session.restorings[0]?.resolve(false)
  await session.restoration
  assert.equal(other.events.length, 1)
})

test('restores at once where nothing is sent before, and waits for nobody', () => {
  const session = createFakeSession({ isTouched: () => true })
  restoreSession(session, createKeeper())
  assert.deepEqual(askedOf(session), [{ rollback: false, reset: true }])
  assert.equal(session.restorings[0]?.before, undefined)
})

for (const isRestored of [true, false]) {
  test(`restores behind an earlier restoration that ${isRestored ? 'succeeds' : 'fails'}, which has rolled back`, async () => {
    const keeper = createKeeper()
    const session = createFakeSession({ isTouched: () => true, isInTransaction: () => true })
    restoreSession(session, keeper)
    restoreSession(session, keeper)
    assert.deepEqual(askedOf(session), [
      { rollback: true, reset: true },
      { rollback: false, reset: true },
    ])
    assert.deepEqual(keeper.events, [rolledBack])
    assert.ok(session.restorings[1]?.before instanceof Promise)
    // The first one ends, and the session is still being restored.
    const latest = session.restoration
    session.restorings[1]?.resolve(false)
    await turn()
    assert.equal(session.restoration, latest)
    if (isRestored) session.restorings[0]?.resolve(false)
    else session.restorings[0]?.reject(new Error('the socket ended'))
    assert.equal(await latest, isRestored)
    await turn()
    assert.equal(session.restoration, isRestored ? undefined : latest)
  })
}

test('is still being restored when an earlier restoration has ended', async () => {
  const session = createFakeSession({ isTouched: () => true })
  const keeper = createKeeper()
  restoreSession(session, keeper)
  restoreSession(session, keeper)
  const latest = session.restoration
  session.restorings[0]?.resolve(false)
  await turn()
  assert.equal(session.restoration, latest)
})
