import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAccess } from '../../../src/access/access.ts'
import { postgresFailures } from '../../../src/errors/postgres-failures.ts'
import { RdsIamError } from '../../../src/errors/rds-iam-error.ts'
import type { Settings } from '../../../src/options/settings.ts'
import type { Attempted } from '../../../src/retries/open.ts'
import type { Asker } from '../../../src/retries/retry.ts'
import { createOpening, type Opening } from '../../../src/retries/writer.ts'
import { createAttemptToken } from '../../../src/token/attempt-token.ts'
import { recordingLogger } from '../../support/lambda.ts'

/** A connection, the server of which takes writes or does not, or says nothing of it. */
interface Fake {
  readonly takesWrites: boolean | 'asked' | 'lost' | 'never'
  isLost?: boolean
}

const writer: Fake = { takesWrites: true }
const reader = (): Fake => ({ takesWrites: false })
const refused = Object.assign(new Error('password authentication failed'), { code: '28P01' })

/** What a look for a writer finds one after the other, the last of it for ever, each attempt in 20 ms. */
function search(
  found: readonly (Fake | Error)[],
  {
    targetSessionAttrs = 'read-write',
    hasRoom = true as boolean | 'unsaid',
  }: { targetSessionAttrs?: string; hasRoom?: boolean | 'unsaid' } = {},
) {
  const logger = recordingLogger()
  const settings = {
    host: 'orders',
    port: 5432,
    user: 'app',
    database: 'orders',
    region: 'eu-west-1',
    endpoint: { host: 'orders', port: 5432 },
    retryRefused: true,
    failures: postgresFailures,
    targetSessionAttrs,
    logger,
  } as unknown as Settings
  const access = createAccess(settings)
  const clock = {
    nowMs: 1_000_000,
    now: () => clock.nowMs,
    async sleep(ms: number) {
      clock.nowMs += ms
    },
    // Nothing here is silent.
    after: () => () => {},
    random: () => 0.5,
  }
  const open = new Set<Fake>()
  let most = 0
  let attempts = 0
  let looks = 0
  const closed: (readonly [Fake, string])[] = []
  const opening: Opening<Fake> = createOpening<Fake>({
    access,
    settings,
    clock,
    connections: {
      takesWrites({ takesWrites }) {
        looks += 1
        if (takesWrites === 'never') return new Promise(() => {})
        if (takesWrites === 'lost') return Promise.reject(new Error('the socket ended'))
        return takesWrites === 'asked' ? Promise.resolve(true) : takesWrites
      },
      isUsable: ({ isLost }) => isLost !== true,
      discard(connection, reason) {
        open.delete(connection)
        closed.push([connection, reason])
      },
      ...(hasRoom === 'unsaid' ? {} : { hasRoom: () => hasRoom || open.size === 0 }),
    },
  })
  const attempt = async (): Promise<Attempted<Fake>> => {
    const next = found[Math.min(attempts, found.length - 1)]
    attempts += 1
    clock.nowMs += 20
    if (next instanceof Error || next === undefined)
      return { error: next, token: createAttemptToken(access.tokens) }
    open.add(next)
    most = Math.max(most, open.size)
    return { connection: next }
  }
  return {
    clock,
    open,
    closed,
    attempts: () => attempts,
    looks: () => looks,
    lines: logger.lines,
    most: () => most,
    events: () => logger.lines.map(({ fields }) => fields.event),
    warnings: logger.warnings,
    drop: opening.drop,
    ask: (asker: Partial<Asker> = {}) =>
      opening.open(
        { deadlineMs: clock.nowMs + 10_000, account: undefined, ...asker },
        { attempt, discard() {} },
      ),
  }
}

test('takes whatever comes where any server will do', async () => {
  const only = reader()
  const { ask, events } = search([only], { targetSessionAttrs: 'any' })
  assert.equal(await ask(), only)
  assert.deepEqual(events(), [])
})

for (const takesWrites of [true, 'asked'] as const) {
  test(`takes a writer at once, ${takesWrites === true ? 'known' : 'asked'}`, async () => {
    const { ask, attempts, events } = search([{ takesWrites }])
    await ask()
    assert.deepEqual([attempts(), events()], [1, []])
  })
}

test('looks again with the usual pauses until there is a writer, and closes every reader', async () => {
  const readers = [reader(), reader(), reader()]
  const { ask, clock, open, closed, most, events, warnings } = search([...readers, writer])
  assert.equal(await ask(), writer)
  // Four attempts, and the first three pauses.
  assert.equal(clock.nowMs, 1_000_000 + 4 * 20 + 50 + 100 + 200)
  assert.deepEqual([...open], [writer])
  assert.deepEqual(
    closed,
    readers.map(reader => [reader, 'read-only']),
  )
  assert.equal(most(), 2, 'one reader is kept, and no more')
  assert.deepEqual(events(), Array(3).fill('connection:retried'))
  assert.deepEqual(warnings(), [])
})

for (const hasRoom of [true, false]) {
  test(`lends the last reader with one warning where the time is over${hasRoom ? '' : ', without room for two'}`, async () => {
    const { ask, clock, open, most, attempts, events, warnings } = search(
      Array.from({ length: 99 }, reader),
      { hasRoom },
    )
    const lent = await ask()
    assert.equal(lent.takesWrites, false)
    assert.deepEqual([...open], [lent])
    assert.equal(most(), hasRoom ? 2 : 1)
    assert.ok(clock.nowMs <= 1_010_000 && clock.nowMs > 1_009_000, `${clock.nowMs}`)
    assert.deepEqual(events(), [...Array(attempts() - 1).fill('connection:retried'), 'connection:read-only'])
    assert.match(String(warnings()), /takes no writes.*`targetSessionAttrs`/)
  })
}

for (const hasRoom of [true, false]) {
  test(`${hasRoom ? 'lends' : 'has no room to keep'} a reader where a later attempt fails for good`, async () => {
    const only = reader()
    const { ask, open, events } = search([only, refused], { hasRoom })
    if (hasRoom) assert.equal(await ask(), only)
    else await assert.rejects(ask(), { code: 'RDS_IAM_NOT_GRANTED' })
    assert.deepEqual([...open], hasRoom ? [only] : [])
    const last = hasRoom ? 'connection:read-only' : 'connection:failed'
    assert.deepEqual(events(), ['connection:retried', last])
  })
}

test('does not lend a reader that was lost meanwhile', async () => {
  const lost = { ...reader(), isLost: true }
  const { ask, open, events } = search([lost, refused])
  await assert.rejects(ask(), { code: 'RDS_IAM_NOT_GRANTED' })
  assert.deepEqual([...open], [])
  assert.equal(events().at(-1), 'connection:failed')
})

test('leaves the search for a writer to the invocation, and ends ahead of it at the first reader', async () => {
  const { ask, attempts, closed, open, warnings } = search([reader(), writer])
  await assert.rejects(
    ask({ isAhead: true }),
    (error: unknown) => error instanceof RdsIamError && /takes no writes/.test(error.message),
  )
  assert.deepEqual([attempts(), [...open], warnings()], [1, [], []])
  assert.deepEqual(
    closed.map(([, reason]) => reason),
    ['read-only'],
  )
  assert.equal(await ask(), writer)
})

test('waits for no writer once there has been none for a minute, until one is seen', async () => {
  const readers = Array.from({ length: 200 }, reader)
  const { ask, clock, attempts, warnings } = search(readers)
  for (let budgets = 0; budgets < 6; budgets += 1) await ask()
  clock.nowMs += 5_000
  const before = attempts()
  assert.equal((await ask()).takesWrites, false)
  assert.deepEqual([attempts() - before, warnings().length], [1, 7])
})

test('has patience again once a writer was seen', async () => {
  const { ask, clock, attempts } = search([reader(), writer, reader(), writer])
  assert.equal(await ask(), writer)
  clock.nowMs += 3_600_000
  assert.equal(await ask(), writer)
  assert.equal(attempts(), 4)
})

test('opens another connection where the server is lost before it says what it is', async () => {
  const silent: Fake = { takesWrites: 'lost' }
  const { ask, closed, events } = search([silent, writer])
  assert.equal(await ask(), writer)
  assert.deepEqual(closed, [[silent, 'silent']])
  assert.deepEqual(events(), ['connection:retried'])
})

test('keeps a reader for each of two callers, whichever finds a writer first', async () => {
  const [one, other] = [reader(), reader()]
  const { ask, closed, open } = search([one, other, writer, refused])
  const [first, second] = await Promise.all([ask(), ask()])
  assert.equal(first, writer)
  assert.equal(second, other)
  assert.deepEqual(closed, [[one, 'read-only']])
  assert.deepEqual([...open], [other, writer])
})

test('drops the reader that is kept', async () => {
  const only = reader()
  const searching = search([only, refused])
  const { open, drop, ask } = searching
  const asked = ask()
  while (!open.has(only)) await null
  for (let turns = 0; turns < 2; turns += 1) await null
  drop()
  await assert.rejects(asked, { code: 'RDS_IAM_NOT_GRANTED' })
  assert.deepEqual([...open], [])
})

test('looks at a connection once, although a pool gives it again', async () => {
  const only: Fake = { takesWrites: 'asked' }
  const { ask, looks } = search([only])
  assert.equal(await ask(), only)
  assert.equal(await ask(), only)
  assert.equal(looks(), 1)
})

test('has room for a reader wherever nobody says otherwise', async () => {
  const { ask, most } = search([reader(), writer], { hasRoom: 'unsaid' })
  assert.equal(await ask(), writer)
  assert.equal(most(), 2)
})

test('waits for no server that does not say what it is beyond the time that there is', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const silent: Fake = { takesWrites: 'never' }
  const { ask, clock, closed } = search([silent, writer])
  const asked = ask({ deadlineMs: clock.nowMs + 320 })
  const turn = () => new Promise(resolve => setImmediate(resolve))
  await turn()
  // The attempt has taken 20 of them.
  t.mock.timers.tick(299)
  await turn()
  assert.deepEqual(closed, [])
  t.mock.timers.tick(1)
  await turn()
  assert.deepEqual(closed, [[silent, 'silent']])
  assert.equal(await asked, writer)
})

test('tells how long it has looked for a writer in vain', async () => {
  const { ask, clock, lines } = search([reader(), refused])
  const startedMs = clock.nowMs
  await ask()
  const { event, durationMs } = lines.at(-1)?.fields ?? {}
  assert.deepEqual([event, durationMs], ['connection:read-only', clock.nowMs - startedMs])
})

test('takes a reader a minute after the first one was found, and not a moment earlier', async () => {
  for (const [agoMs, isTaken] of [
    [60_000, true],
    [59_999, false],
  ] as const) {
    const { ask, clock, attempts } = search([reader(), refused, reader(), writer])
    const foundMs = clock.nowMs + 20
    await ask()
    // The next attempt takes 20 ms.
    clock.nowMs = foundMs + agoMs - 20
    assert.equal((await ask()).takesWrites, !isTaken)
    assert.equal(attempts(), isTaken ? 3 : 4)
  }
})

test('has nothing to drop once a search is over', async () => {
  const { ask, closed, drop } = search([reader(), writer])
  await ask()
  const before = closed.length
  drop()
  assert.equal(closed.length, before)
})
