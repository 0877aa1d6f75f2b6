import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTokenCache } from '../../../src/token/cache.ts'
import { createSigner } from '../../../src/token/signer.ts'
import { readToken, type Token } from '../../../src/token/token.ts'
import { setEnvironment, withoutCredentials } from '../../support/environment.ts'

const marginMs = 60_000
const second = 1_000
const hour = 3_600 * second
const start = Date.UTC(2026, 0, 1, 12)

/** A cache whose clock and whose signer the test holds in its hands. */
function createBench({ credentialsExpireAtMs = Number.POSITIVE_INFINITY } = {}) {
  const bench = {
    nowMs: start,
    signings: 0,
    /** For each signing, whether it was told that the token before was refused. */
    told: [] as boolean[],
    /** Runs while a token is being signed. */
    during: async (): Promise<void> => {},
  }
  const sign = async (isRefused: boolean): Promise<Token> => {
    bench.signings += 1
    bench.told.push(isRefused)
    const token = makeToken(bench.nowMs, bench.signings, credentialsExpireAtMs)
    await bench.during()
    return token
  }
  const cache = createTokenCache(sign, marginMs, () => bench.nowMs)
  const take = async () => (await cache.get()).token.value
  return Object.assign(bench, { cache, take })
}

function makeToken(signedAtMs: number, number: number, credentialsExpireAtMs: number): Token {
  const date = new Date(signedAtMs).toISOString().replace(/[-:]|\.\d+/g, '')
  const request = { host: 'db', port: 5432, region: 'eu-west-1', user: 'app' }
  const scope = `DBUser=app&X-Amz-Credential=AKIA/${date.slice(0, 8)}/eu-west-1/rds-db/aws4_request`
  const value = `db:5432/?${scope}&X-Amz-Date=${date}&X-Amz-Expires=900&X-Amz-Signature=${number}`
  const token = readToken(request, value, credentialsExpireAtMs)
  assert.ok(token)
  return token
}

for (const { title, laterMs, expected } of [
  { title: 'uses a token again at once', laterMs: 0, expected: 1 },
  { title: 'uses a token again after ten minutes', laterMs: 600 * second, expected: 1 },
  { title: 'uses a token again a millisecond before the margin', laterMs: 840 * second - 1, expected: 1 },
  { title: 'signs anew at the margin', laterMs: 840 * second, expected: 2 },
  { title: 'signs anew once the token has expired', laterMs: 900 * second, expected: 2 },
  { title: 'signs anew after an hour in the freezer', laterMs: hour, expected: 2 },
  { title: 'signs anew after the clock stepped back behind the token', laterMs: -1, expected: 2 },
]) {
  test(title, async () => {
    const bench = createBench()
    const first = await bench.cache.get()
    assert.equal(first.reused, false)
    bench.nowMs += laterMs
    const second = await bench.cache.get()
    assert.equal(bench.signings, expected)
    assert.equal(second.reused, expected === 1)
    assert.equal(second.token === first.token, expected === 1)
  })
}

test('reads the date of a token in whole seconds, so that one signed at half past is not from the future', async () => {
  const bench = createBench()
  bench.nowMs += 500
  await bench.take()
  await bench.take()
  assert.equal(bench.signings, 1)
})

for (const { title, laterMs, expected } of [
  { title: 'just outside the margin', laterMs: 239 * second, expected: 1 },
  { title: 'at the margin', laterMs: 240 * second, expected: 2 },
]) {
  test(`lets a token die with credentials that end after five minutes: ${title}`, async () => {
    const bench = createBench({ credentialsExpireAtMs: start + 300 * second })
    await bench.take()
    bench.nowMs += laterMs
    await bench.take()
    assert.equal(bench.signings, expected)
  })
}

test('signs for every call where the credentials end within the margin', async () => {
  const bench = createBench({ credentialsExpireAtMs: start + 30 * second })
  await bench.take()
  await bench.take()
  assert.equal(bench.signings, 2)
})

test('does not let credentials that outlive a token prolong it', async () => {
  const bench = createBench({ credentialsExpireAtMs: start + hour })
  await bench.take()
  bench.nowMs += 840 * second
  await bench.take()
  assert.equal(bench.signings, 2)
})

test('keeps nothing of a signing that failed: the next call signs', async () => {
  const bench = createBench()
  const failure = new Error('no credentials')
  bench.during = async () => {
    throw failure
  }
  await assert.rejects(bench.take(), failure)
  bench.during = async () => {}
  assert.match(await bench.take(), /Signature=2$/)
  assert.equal(bench.signings, 2)
})

test('signs once when ten callers race', async () => {
  const bench = createBench()
  const values = await Promise.all(Array.from({ length: 10 }, bench.take))
  assert.equal(bench.signings, 1)
  assert.equal(new Set(values).size, 1)
})

test('signs once when ten callers race past the margin', async () => {
  const bench = createBench()
  await bench.take()
  bench.nowMs += 840 * second
  const values = await Promise.all(Array.from({ length: 10 }, bench.take))
  assert.equal(bench.signings, 2)
  assert.equal(new Set(values).size, 1)
})

test('tells all ten racing callers of a failed signing, and then signs again', async () => {
  const bench = createBench()
  const failure = new Error('no credentials')
  bench.during = async () => {
    throw failure
  }
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, bench.take))
  for (const outcome of outcomes) assert.equal(outcome.status === 'rejected' && outcome.reason, failure)
  assert.equal(bench.signings, 1)
  bench.during = async () => {}
  assert.match(await bench.take(), /Signature=2$/)
})

test('signs again when the process was frozen between the signing and its use, once for all who wait', async () => {
  const bench = createBench()
  bench.during = async () => {
    bench.during = async () => {}
    bench.nowMs += hour
  }
  const cached = await Promise.all(Array.from({ length: 10 }, () => bench.cache.get()))
  assert.equal(bench.signings, 2)
  for (const { token } of cached) assert.equal(token.signedAtMs, start + hour)
  assert.match(await bench.take(), /Signature=2$/)
})

test('forgets a refused token, and says that another may do better only where it had been signed earlier', async () => {
  const bench = createBench()
  const fresh = await bench.cache.get()
  const reused = await bench.cache.get()
  assert.equal(bench.cache.refuse(reused), true)
  assert.match(await bench.take(), /Signature=2$/)
  assert.equal(bench.cache.refuse(fresh), false)
})

test('keeps the token that has taken the place of a refused one', async () => {
  const bench = createBench()
  const old = await bench.cache.get()
  bench.nowMs += hour
  const current = await bench.take()
  bench.cache.refuse(old)
  assert.equal(await bench.take(), current)
  assert.equal(bench.signings, 2)
})

test('keeps its tokens apart from another cache’s', async () => {
  const [one, other] = [createBench(), createBench()]
  await one.take()
  one.cache.refuse(await one.cache.get())
  await other.take()
  await other.take()
  assert.deepEqual([one.signings, other.signings], [1, 1])
})

const request = {
  host: 'orders.c1x2.eu-west-1.rds.amazonaws.com',
  port: 5432,
  region: 'eu-west-1',
  user: 'app',
}
const keyOf = (value: string) => /X-Amz-Credential=([^%]+)/.exec(value)?.[1]

for (const [title, rotate] of [
  ['a refusal', (bench: RealBench) => void bench.cache.refuse(bench.cached)],
  ['the token’s end', (bench: RealBench) => bench.passTime(900 * second)],
] as const) {
  test(`signs with the provider’s new credentials after ${title}`, async t => {
    t.mock.timers.enable({ apis: ['Date'], now: start })
    let accessKeyId = 'FIRST'
    const credentials = async () => ({ accessKeyId, secretAccessKey: 'secret' })
    const cache = createTokenCache(createSigner({ request, credentials, signer: undefined }), marginMs)
    const cached = await cache.get()
    accessKeyId = 'SECOND'
    assert.equal(keyOf((await cache.get()).token.value), 'FIRST')
    rotate({ cache, cached, passTime: ms => t.mock.timers.setTime(start + ms) })
    assert.equal(keyOf((await cache.get()).token.value), 'SECOND')
  })

  test(`signs with the environment’s new credentials after ${title}`, async t => {
    t.mock.timers.enable({ apis: ['Date'], now: start })
    setEnvironment(t, { ...withoutCredentials, AWS_ACCESS_KEY_ID: 'FIRST', AWS_SECRET_ACCESS_KEY: 'secret' })
    const sign = createSigner({ request, credentials: undefined, signer: undefined })
    const cache = createTokenCache(sign, marginMs)
    const cached = await cache.get()
    process.env.AWS_ACCESS_KEY_ID = 'SECOND'
    rotate({ cache, cached, passTime: ms => t.mock.timers.setTime(start + ms) })
    assert.equal(keyOf((await cache.get()).token.value), 'SECOND')
  })
}

interface RealBench {
  readonly cache: ReturnType<typeof createTokenCache>
  readonly cached: Awaited<ReturnType<ReturnType<typeof createTokenCache>['get']>>
  readonly passTime: (ms: number) => void
}

test('tells of a refused token until the next one is signed, and of no token that was replaced before', async () => {
  const bench = createBench()
  const first = await bench.cache.get()
  bench.cache.refuse(first)
  bench.during = () => Promise.reject(new Error('the file is gone'))
  await assert.rejects(bench.cache.get())
  bench.during = async () => {}
  await bench.cache.get()
  // Another connection tells of the same one.
  bench.cache.refuse(first)
  bench.nowMs += hour
  await bench.cache.get()
  assert.deepEqual(bench.told, [false, true, true, false])
})
