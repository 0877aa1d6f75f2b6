import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAccess } from '../../../src/access/access.ts'
import type { TokenUse } from '../../../src/errors/failure.ts'
import { mysqlFailures } from '../../../src/errors/mysql-failures.ts'
import { postgresFailures } from '../../../src/errors/postgres-failures.ts'
import { RdsIamError } from '../../../src/errors/rds-iam-error.ts'
import type { Settings } from '../../../src/options/settings.ts'
import { beginEffort } from '../../../src/retries/effort.ts'
import { type Asker, createRetry, type Retry } from '../../../src/retries/retry.ts'
import { passingPauses, pauseMs, refusedPauses } from '../../../src/time/backoff.ts'
import type { Clock } from '../../../src/time/clock.ts'
import type { AttemptToken } from '../../../src/token/attempt-token.ts'
import { recordingLogger } from '../../support/lambda.ts'

const fail = (message: string, code?: string) => Object.assign(new Error(message), code && { code })
const throttled = fail('sorry, too many clients already', '53300')
const refused = fail('PAM authentication failed for user "app"', '28000')

const settings = (changes: object = {}): Settings =>
  ({
    host: 'orders',
    port: 5432,
    user: 'app',
    database: 'orders',
    region: 'eu-west-1',
    endpoint: { host: 'orders', port: 5432 },
    connectTimeoutMs: 10_000,
    retryRefused: true,
    failures: postgresFailures,
    ...changes,
  }) as Settings

/** A clock that stands still but for sleeping, and a chance that is told. */
function createClock(chance = 0.5): Clock & { readonly sleeps: number[]; nowMs: number } {
  const clock = {
    sleeps: [] as number[],
    nowMs: 1_000_000,
    now: () => clock.nowMs,
    async sleep(ms: number) {
      clock.sleeps.push(ms)
      clock.nowMs += ms
    },
    after: () => () => {},
    random: () => chance,
  }
  return clock
}

const token = (reused = false, use: TokenUse = 'sent'): AttemptToken => ({
  prepare() {},
  take: () => Promise.reject(new Error('not asked')),
  use: () => use,
  isAwaited: () => false,
  isReused: () => false,
  refuse: () => reused,
})

function retryOf(clock: Clock, budgetMs: number, changes: object = {}): Retry['afterFailure'] {
  const given = settings(changes)
  const asker: Asker = { deadlineMs: clock.now() + budgetMs, account: undefined }
  return createRetry({ access: createAccess(given), settings: given, clock }, asker).afterFailure
}

/** Fails until it is given up, and says with what. */
async function failForGood(
  error: Error,
  {
    clock = createClock(),
    budgetMs = 10_000,
    attemptMs = 20,
    changes = {},
    reused = false,
    use = 'sent' as TokenUse,
  } = {},
): Promise<{ failure: RdsIamError; attempts: number; sleeps: readonly number[]; endedAfterMs: number }> {
  const startMs = clock.now()
  const retry = retryOf(clock, budgetMs, changes)
  for (let attempts = 1; ; attempts += 1) {
    clock.nowMs += attemptMs
    try {
      await retry(error, token(reused, use))
    } catch (failure) {
      assert.ok(failure instanceof RdsIamError)
      return { failure, attempts, sleeps: clock.sleeps, endedAfterMs: clock.now() - startMs }
    }
  }
}

test('doubles the pauses up to the cap, and takes a random part of each', () => {
  const { baseMs, capMs } = passingPauses
  assert.deepEqual(
    [0, 1, 2, 30].map(index => pauseMs(passingPauses, index, 1)),
    [baseMs, 2 * baseMs, 4 * baseMs, capMs],
  )
  assert.equal(pauseMs(passingPauses, 30, 0.25), capMs / 4)
  assert.equal(pauseMs(passingPauses, 30, 0), 0)
})

const passing: readonly (readonly [Error, Settings['failures']?])[] = [
  [throttled],
  [fail('too many connections for role "app"', '53300')],
  [fail('IAM authentication rate limit exceeded')],
  [fail('The IAM authentication failed because of too many competing requests.', '28P01')],
  [fail('Timed-out waiting to acquire database connection.')],
  [fail('no pg_hba.conf entry for host "10.0.0.1", user "app", database "orders", SSL encryption', '28000')],
  [fail('could not fork new process for connection: Cannot allocate memory')],
  [fail('canceling authentication due to timeout', '57014')],
  [fail('the database system is starting up', '57P03')],
  [fail('terminating connection due to administrator command', '57P01')],
  [fail('Connection terminated unexpectedly')],
  [fail('read ECONNRESET', 'ECONNRESET')],
  [fail('connect ECONNREFUSED 10.0.0.1:5432', 'ECONNREFUSED')],
  [fail('getaddrinfo EAI_AGAIN orders', 'EAI_AGAIN')],
  [fail('Too many connections', 'ER_CON_COUNT_ERROR'), mysqlFailures],
  [fail('already has more than max_user_connections', 'ER_TOO_MANY_USER_CONNECTIONS'), mysqlFailures],
  [
    fail("User 'app' has exceeded the 'max_user_connections' resource", 'ER_USER_LIMIT_REACHED'),
    mysqlFailures,
  ],
  [fail('Connection lost: The server closed the connection.', 'PROTOCOL_CONNECTION_LOST'), mysqlFailures],
  [fail('Client network socket disconnected', 'HANDSHAKE_SSL_ERROR'), mysqlFailures],
  [fail('IAM authentication rate limit exceeded'), mysqlFailures],
  [fail('Timed-out waiting to acquire database connection'), mysqlFailures],
  [fail("Can't create a new thread", 'ER_CANT_CREATE_THREAD'), mysqlFailures],
  [fail('Got timeout reading communication packets', 'ER_NET_READ_INTERRUPTED'), mysqlFailures],
]

for (const [error, failures = postgresFailures] of passing) {
  test(`tries again after "${error.message}" until the deadline, and not beyond`, async () => {
    const { failure, attempts, sleeps, endedAfterMs } = await failForGood(error, { changes: { failures } })
    assert.ok(attempts > 20, `${attempts} attempts`)
    assert.ok(endedAfterMs <= 10_000 && endedAfterMs > 9_000, `${endedAfterMs} ms`)
    assert.ok(sleeps.every(ms => ms <= passingPauses.capMs))
    assert.equal(failure.cause, error)
    assert.match(failure.message, new RegExp(`after ${attempts} attempts in \\d\\.\\d s: ${error.message}`))
  })
}

const lasting: readonly (readonly [Error, Settings['failures']?])[] = [
  [fail('self-signed certificate in certificate chain', 'SELF_SIGNED_CERT_IN_CHAIN')],
  [new RdsIamError('RDS_IAM_TRUST', 'not verified')],
  [new RdsIamError('RDS_IAM_CREDENTIALS', 'no credentials')],
  [new RdsIamError('RDS_IAM_OPTIONS', 'wrong')],
  [fail('database "orders" does not exist', '3D000')],
  [fail('permission denied for database "orders"', '42501')],
  [fail('something that nobody has seen before')],
  [fail('getaddrinfo ENOTFOUND orders', 'ENOTFOUND')],
  [fail('timeout expired')],
  [fail('no connection within 10000 ms, or the time that the invocation had left')],
  [fail('the invocation has no time left to connect')],
  [fail('all connections are in use (max is 1)')],
  [fail('timeout exceeded when trying to connect')],
  [fail('no pg_hba.conf entry for host "10.0.0.1", user "app", no encryption', '28000')],
  [fail('no pg_hba.conf entry for host "10.0.0.1", user "rdsadmin", database "x", SSL encryption', '28000')],
  [fail('This RDS proxy has no credentials for the role app', '28000')],
  [fail('The password that was provided for the role app is wrong.', '28P01')],
  [fail("Feature not supported: RDS Proxy currently doesn't support command-line options.", '0A000')],
  [
    fail("User 'app' has exceeded the 'max_connections_per_hour' resource", 'ER_USER_LIMIT_REACHED'),
    mysqlFailures,
  ],
  [fail('Queue limit reached.'), mysqlFailures],
  [fail('No connections available.'), mysqlFailures],
  [fail('Host is blocked because of many connection errors', 'ER_HOST_IS_BLOCKED'), mysqlFailures],
  [fail('Unexpected packet during handshake phase', 'HANDSHAKE_UNKNOWN_ERROR'), mysqlFailures],
  [fail('self-signed certificate', 'HANDSHAKE_SSL_ERROR'), mysqlFailures],
  [fail('Plugin is not loaded', 'ER_PLUGIN_IS_NOT_LOADED'), mysqlFailures],
  [fail('Unknown database', 'ER_BAD_DB_ERROR'), mysqlFailures],
]

for (const [error, failures = postgresFailures] of lasting) {
  test(`does not try again after "${error.message}"`, async () => {
    const { failure, attempts, sleeps } = await failForGood(error, { changes: { failures } })
    assert.deepEqual({ attempts, sleeps: sleeps.length }, { attempts: 1, sleeps: 0 })
    assert.doesNotMatch(failure.message, /attempts/)
  })
}

const refusals = [
  [refused, postgresFailures],
  [fail('password authentication failed for user "app"', '28P01'), postgresFailures],
  [
    fail("Access denied for user 'app'@'10.0.0.1' (using password: YES)", 'ER_ACCESS_DENIED_ERROR'),
    mysqlFailures,
  ],
  [
    fail("Access denied for user 'app'@'10.0.0.1' (using password: NO)", 'ER_ACCESS_DENIED_ERROR'),
    mysqlFailures,
  ],
  [fail("Access denied for user 'app'@'10.0.0.1'", 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR'), mysqlFailures],
] as const

for (const [error, failures] of refusals) {
  test(`takes "${error.message}" for a user that is none for IAM where the token was never asked for`, async () => {
    const { failure, attempts } = await failForGood(error, { changes: { failures }, use: 'unasked' })
    assert.equal(attempts, 1)
    assert.equal(failure.code, 'RDS_IAM_NOT_GRANTED')
    assert.match(failure.message, /CREATE USER/)
  })
}

for (const [error, failures] of refusals) {
  test(`tries again sparingly after "${error.message}", and warns at once of what it may be`, async () => {
    const logger = recordingLogger()
    const clock = createClock()
    const linesBeforeSleep: number[] = []
    const { sleep } = clock
    clock.sleep = ms => {
      linesBeforeSleep.push(logger.lines.length)
      return sleep(ms)
    }
    const changes = { failures, logger }
    const { failure, attempts, sleeps, endedAfterMs } = await failForGood(error, { clock, changes })
    assert.ok(sleeps.every(ms => ms <= refusedPauses.capMs))
    assert.ok(endedAfterMs <= 10_000 && endedAfterMs > 8_000, `${endedAfterMs} ms`)
    assert.deepEqual(
      sleeps.slice(0, 2),
      [1, 2].map(times => (times * refusedPauses.baseMs) / 2),
    )
    assert.equal(failure.code, 'RDS_IAM_ACCESS_DENIED')
    assert.deepEqual(linesBeforeSleep.slice(0, 2), [1, 2])
    const [first, ...rest] = logger.lines
    assert.equal(first?.level, 'warn')
    assert.match(
      String(first?.message),
      /policy.*IAM authentication is enabled.*many new connections at once/,
    )
    const { code, attempt, delayMs, refusals } = first?.fields ?? {}
    assert.deepEqual(
      { code, attempt, delayMs, refusals },
      { code: 'RDS_IAM_ACCESS_DENIED', attempt: 1, delayMs: sleeps[0], refusals: 1 },
    )
    assert.equal(rest.length, attempts - 1)
    assert.ok(rest.slice(0, -1).every(({ level }) => level === 'debug'))
    assert.deepEqual(rest.at(-1)?.fields.event, 'connection:failed')
  })

  test(`does not try again after "${error.message}" where it is told not to`, async () => {
    const logger = recordingLogger()
    const changes = { failures, logger, retryRefused: false }
    const { attempts } = await failForGood(error, { changes })
    assert.equal(attempts, 1)
    assert.deepEqual(
      logger.lines.map(({ fields }) => fields.event),
      ['connection:failed'],
    )
  })
}

test('replaces a token that had been signed earlier at once, and once', async () => {
  const logger = recordingLogger()
  const changes = { retryRefused: false, logger }
  const { attempts, sleeps, failure } = await failForGood(refused, { changes, reused: true })
  assert.deepEqual({ attempts, sleeps: sleeps.length }, { attempts: 2, sleeps: 0 })
  const lines = logger.lines.map(({ level, fields }) => [level, fields.event, fields.refusals])
  assert.deepEqual(lines, [
    ['debug', 'connection:retried', 0],
    ['warn', 'connection:failed', undefined],
  ])
  assert.match(failure.message, /after 2 attempts in 0\.0 s: PAM/)
})

test('shortens the last pause once, to a random moment in the time that is left', async () => {
  const clock = createClock(0.5)
  const { sleeps, endedAfterMs } = await failForGood(throttled, { clock, budgetMs: 360, attemptMs: 20 })
  // 20 + 50 + 20 + 100 + 20 = 210: of the 260 that a pause may take, 50 are left, and the next one would be 200.
  assert.deepEqual(sleeps, [50, 100, 25])
  assert.ok(endedAfterMs <= 360)
})

test('does not sleep where there is no time for another attempt', async () => {
  // The attempt takes 20 ms, and the next one would need 100.
  for (const budgetMs of [100, 120]) {
    const { attempts, sleeps } = await failForGood(throttled, { budgetMs })
    assert.deepEqual({ attempts, sleeps: sleeps.length }, { attempts: 1, sleeps: 0 })
  }
})

test('takes a pause that leaves just the time for another attempt as it is', async () => {
  const { attempts, sleeps } = await failForGood(throttled, { budgetMs: 20 + 50 + 100 })
  assert.deepEqual([attempts, sleeps], [2, [50]])
})

test('tells how long it took to fail', async () => {
  const logger = recordingLogger()
  const { endedAfterMs } = await failForGood(throttled, { changes: { logger } })
  const { event, durationMs } = logger.lines.at(-1)?.fields ?? {}
  assert.deepEqual([event, durationMs], ['connection:failed', endedAfterMs])
})

test('keeps a token that was not refused, however old it is', async () => {
  const { attempts, sleeps } = await failForGood(throttled, { reused: true, budgetMs: 1_000 })
  assert.ok(attempts > 2)
  assert.equal(sleeps.length, attempts - 1)
})

/** Decides for one who asks, of an access that the test has. */
function createBench(clock: Clock, budgetMs: number, asker: Partial<Asker> = {}) {
  const given = settings()
  const access = createAccess(given)
  const deadlineMs = clock.now() + budgetMs
  const begin = () =>
    createRetry({ access, settings: given, clock }, { deadlineMs, account: undefined, ...asker })
  return { access, begin }
}

const knownAt = (latestMs: number) => ({ count: 9, sinceMs: 1_000_000, latestMs })

test('begins at once where no refusals are known, or long after the latest', () => {
  const clock = createClock()
  const { access, begin } = createBench(clock, 10_000)
  assert.equal(begin().beforeFirst(), undefined)
  for (const agoMs of [125, 126, 60_000]) {
    access.refusals.remember(knownAt(clock.nowMs - agoMs))
    assert.equal(begin().beforeFirst(), undefined)
  }
  assert.deepEqual(clock.sleeps, [])
})

test('spaces the one attempt from the latest refusal, but takes no more than half of the time for it', async () => {
  for (const [budgetMs, agoMs, sleptMs] of [
    [10_000, 0, 125],
    [10_000, 100, 25],
    [100, 0, 50],
  ] as const) {
    const clock = createClock()
    const { access, begin } = createBench(clock, budgetMs)
    access.refusals.remember(knownAt(clock.nowMs - agoMs))
    await begin().beforeFirst()
    assert.deepEqual(clock.sleeps, [sleptMs])
  }
})

test('tries once where refusals are known, also with a token that had been signed earlier', async () => {
  const clock = createClock()
  const { access, begin } = createBench(clock, 10_000)
  access.refusals.remember(knownAt(clock.nowMs))
  await assert.rejects(begin().afterFailure(refused, token(true)), {
    code: 'RDS_IAM_ACCESS_DENIED',
    message: /after 1 attempt and no more, because 9 were refused since 1970-01-01T00:16:40.000Z: PAM/,
  })
})

test('tells who was refused many times before of those, although others are known', async () => {
  const clock = createClock()
  const effort = { ...beginEffort(clock.nowMs - 5_000), attempts: 7, refusals: 7 }
  const { access, begin } = createBench(clock, 10_000, { effort })
  access.refusals.remember(knownAt(clock.nowMs))
  await assert.rejects(begin().afterFailure(refused, token()), { message: /after 8 attempts in 5\.0 s: PAM/ })
})

for (const [error, isCutShort] of [
  [refused, true],
  [throttled, false],
] as const) {
  test(`${isCutShort ? 'cuts a pause short' : 'sleeps on'} where others know of refusals meanwhile: ${error.message}`, async () => {
    const woken = Promise.withResolvers<void>()
    const clock = { ...createClock(), sleep: () => woken.promise }
    const { access, begin } = createBench(clock, 10_000)
    let ended = 'not yet'
    const waiting = begin()
      .afterFailure(error, token())
      .then(
        () => {
          ended = 'tries again'
        },
        failure => {
          ended = failure.code
        },
      )
    access.refusals.remember(knownAt(clock.now()))
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(ended, isCutShort ? 'RDS_IAM_ACCESS_DENIED' : 'not yet')
    woken.resolve()
    await waiting
    assert.equal(ended, isCutShort ? 'RDS_IAM_ACCESS_DENIED' : 'tries again')
  })
}

test('does not take an effort for refused alone whose only attempt had no time', async () => {
  const clock = createClock()
  const effort = beginEffort(clock.nowMs)
  const { begin } = createBench(clock, 0, { effort })
  await assert.rejects(begin().afterFailure(fail('timeout expired'), token()), {
    code: 'RDS_IAM_UNREACHABLE',
  })
  assert.equal(effort.isRefusedAlone, false)
})

/** An attempt that another one has overtaken, and what it failed with in the end. */
function endOvertaken(error: Error, leftMs: number, hasToken = true) {
  const clock = createClock()
  const effort = beginEffort(clock.nowMs)
  const { begin } = createBench(clock, leftMs, { effort })
  const retry = begin()
  retry.afterSilence(2_000)
  assert.deepEqual([effort.attempts, effort.unanswered, effort.isRefusedAlone], [1, 1, false])
  let refusals = 0
  const refuse = () => {
    refusals += 1
    return false
  }
  retry.afterOvertaken(error, hasToken ? { ...token(), refuse } : undefined)
  return { effort, refusals: () => refusals }
}

test('takes note of an answer that came late, and forgets a token that was refused late', () => {
  for (const [error, count] of [
    [throttled, 0],
    [refused, 1],
  ] as const) {
    const { effort, refusals } = endOvertaken(error, 10_000)
    assert.deepEqual([effort.unanswered, effort.cause], [0, { error, use: 'sent' }])
    assert.equal(refusals(), count)
    const { effort: other } = endOvertaken(error, 10_000, false)
    assert.deepEqual([other.unanswered, other.cause], [0, { error, use: undefined }])
  }
})

test('takes no note of an attempt that had no answer when the time was over', () => {
  const { effort } = endOvertaken(fail('timeout expired'), 20)
  assert.deepEqual([effort.unanswered, effort.cause], [1, undefined])
  // Where there was time, that was its answer.
  assert.equal(endOvertaken(fail('timeout expired'), 21).effort.unanswered, 0)
})

test('says what the server said where at last the time did not suffice', async () => {
  const clock = createClock()
  const retry = retryOf(clock, 5_000)
  await retry(throttled, token())
  clock.nowMs = 1_005_000
  await assert.rejects(retry(fail('timeout expired'), token()), {
    code: 'RDS_IAM_THROTTLED',
    message: /after 2 attempts in 5\.0 s: sorry, too many clients/,
    cause: throttled,
  })
})

for (const [title, error, leftMs, code] of [
  ['a moment before its end', fail('timeout expired'), 20, 'RDS_IAM_THROTTLED'],
  ['before that: another time was over', fail('timeout expired'), 21, 'RDS_IAM_UNREACHABLE'],
  ['at its end with another error', fail('permission denied', '42501'), 0, 'RDS_IAM_DATABASE'],
] as const) {
  test(`says what went before where the time is over, and only then: ${title}`, async () => {
    const clock = createClock()
    const retry = retryOf(clock, 5_000)
    await retry(throttled, token())
    clock.nowMs = 1_005_000 - leftMs
    await assert.rejects(retry(error, token()), { code })
  })
}

test('blames the signing where the server waited for the token when the time was over', async () => {
  const clock = createClock()
  const retry = retryOf(clock, 5_000)
  const expired = fail('timeout expired')
  await assert.rejects(retry(expired, { ...token(), isAwaited: () => true }), (error: RdsIamError) => {
    assert.equal(error.code, 'RDS_IAM_CREDENTIALS')
    assert.match(error.message, /signing did not finish/)
    assert.equal((error.cause as Error).cause, expired)
    return true
  })
})
