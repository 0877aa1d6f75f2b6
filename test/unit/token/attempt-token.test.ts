import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AttemptToken, createAttemptToken } from '../../../src/token/attempt-token.ts'
import { createTokenCache } from '../../../src/token/cache.ts'
import type { Token } from '../../../src/token/token.ts'

/** A cache whose signings the test ends, and attempts to connect that share it. */
function createBench() {
  const signings: PromiseWithResolvers<Token>[] = []
  const sign = () => {
    const signing = Promise.withResolvers<Token>()
    signings.push(signing)
    return signing.promise
  }
  const tokens = createTokenCache(sign, 60_000)
  const signedAtMs = Date.now()
  return {
    signings,
    begin: () => createAttemptToken(tokens),
    /** Ends the latest signing. */
    end: () =>
      signings.at(-1)?.resolve({
        value: `token ${signings.length}`,
        signedAtMs,
        expiresAtMs: signedAtMs + 900_000,
      }),
  }
}

/** An attempt that has its token. */
async function takeToken({ begin, end }: ReturnType<typeof createBench>): Promise<AttemptToken> {
  const attempt = begin()
  const taken = attempt.take()
  end()
  await taken
  return attempt
}

test('signs while the socket connects, and gives that one token however often the server asks', async () => {
  const bench = createBench()
  const attempt = bench.begin()
  attempt.prepare()
  assert.equal(bench.signings.length, 1)
  bench.end()
  const [first, second] = [await attempt.take(), await attempt.take()]
  assert.equal(first.value, 'token 1')
  assert.equal(second, first)
  assert.equal(bench.signings.length, 1)
})

test('keeps its token although another attempt has signed a new one meanwhile', async () => {
  const bench = createBench()
  const attempt = await takeToken(bench)
  const other = await takeToken(bench)
  other.refuse()
  await takeToken(bench)
  assert.equal((await attempt.take()).value, 'token 1')
})

test('signs when the server asks, where nothing was prepared', async () => {
  const bench = createBench()
  const attempt = bench.begin()
  assert.equal(bench.signings.length, 0)
  const taken = attempt.take()
  bench.end()
  assert.equal((await taken).value, 'token 1')
})

test('tells of a signing that failed when the server asks, and of nothing before', async () => {
  const bench = createBench()
  const attempt = bench.begin()
  attempt.prepare()
  const failure = new Error('no credentials')
  bench.signings[0]?.reject(failure)
  // An unhandled rejection would fail this test by now.
  await new Promise(resolve => setImmediate(resolve))
  await assert.rejects(attempt.take(), failure)
  assert.equal(attempt.use(), 'unasked')
  assert.equal(attempt.isAwaited(), true)
})

test('is awaited from the server’s question until the token is there, and sent from then on', async () => {
  const bench = createBench()
  const attempt = bench.begin()
  attempt.prepare()
  assert.deepEqual([attempt.isAwaited(), attempt.use()], [false, 'unasked'])
  const taken = attempt.take()
  assert.deepEqual([attempt.isAwaited(), attempt.use()], [true, 'unasked'])
  bench.end()
  await taken
  assert.deepEqual([attempt.isAwaited(), attempt.use()], [false, 'sent'])
})

test('knows of a token that had been signed for an earlier attempt, once the server has it', async () => {
  const bench = createBench()
  const first = await takeToken(bench)
  assert.equal(first.isReused(), false)
  const second = bench.begin()
  second.prepare()
  assert.equal(second.isReused(), false)
  await second.take()
  assert.equal(second.isReused(), true)
})

test('forgets a refused token, and promises better only where it was an earlier one', async () => {
  const bench = createBench()
  const first = await takeToken(bench)
  const second = await takeToken(bench)
  assert.equal(second.refuse(), true)
  assert.equal(first.refuse(), false)
  const third = await takeToken(bench)
  assert.equal((await third.take()).value, 'token 2')
  assert.equal(third.refuse(), false)
  await takeToken(bench)
  assert.equal(bench.signings.length, 3)
})

test('keeps a token that the server never asked for, whatever it refused', async () => {
  const bench = createBench()
  await takeToken(bench)
  const attempt = bench.begin()
  attempt.prepare()
  assert.equal(attempt.refuse(), false)
  await takeToken(bench)
  assert.equal(bench.signings.length, 1)
})
