import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type CachedToken, createTokenCache } from '../../src/token/cache.ts'
import type { Token } from '../../src/token/token.ts'
import { assertProperty } from '../support/properties.ts'

const marginMs = 60_000
const start = Date.UTC(2026, 0, 1)

/** What happens to a cache: somebody asks for a token, the clock moves, a signing ends, a token is refused. */
type Step =
  | { readonly do: 'get' | 'succeed' | 'fail' }
  | { readonly do: 'move'; readonly ms: number }
  | { readonly do: 'refuse'; readonly which: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Step>({ do: 'get' }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'succeed' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'fail' }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('move' as const),
      // To the edges of margin and lifetime, far beyond, and back again: the clock of a thawed process, or a corrected one.
      ms: fc.oneof(
        fc.constantFrom(839_999, 840_000, 899_999, 900_000, 1, -1, -2_000, 3_600_000),
        fc.integer({ min: -60_000, max: 1_000_000 }),
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refuse' as const), which: fc.nat() }) },
)

/** Long enough for every promise that is settled to have had its say. */
const settle = () => new Promise(resolve => setImmediate(resolve))

interface Signing {
  readonly number: number
  readonly end: (failed: boolean) => void
}

test('whatever happens in whatever order: one signing at a time, no token past its end, no failure kept', async () => {
  const seen = { reused: 0, fresh: 0, failed: 0, joined: 0 }
  await assertProperty(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
      let nowMs = start
      let signings = 0
      const running: Signing[] = []
      const failures = new Set<unknown>()
      const refused = new Set<Token>()
      const cached: CachedToken[] = []

      const sign = () => {
        signings += 1
        const number = signings
        const signedAtMs = Math.floor(nowMs / 1_000) * 1_000
        return new Promise<Token>((resolve, reject) => {
          running.push({
            number,
            end(failed) {
              running.splice(0, 1)
              const failure = new Error(`signing ${number} failed`)
              if (!failed)
                resolve({ value: `token ${number}`, signedAtMs, expiresAtMs: signedAtMs + 900_000 })
              else reject(failures.add(failure) && failure)
            },
          })
        })
      }
      const cache = createTokenCache(sign, marginMs, () => nowMs)

      const get = async (): Promise<void> => {
        const before = signings
        const waitedFor = running[0]?.number
        try {
          const one = await cache.get()
          cached.push(one)
          const { token, reused } = one
          if (reused) {
            seen.reused += 1
            assert.ok(!refused.has(token), 'a refused token was given again')
            assert.ok(nowMs < token.expiresAtMs - marginMs, 'a token was reused within its margin')
            assert.ok(nowMs >= token.signedAtMs, 'a token of the future was reused')
          } else {
            seen.fresh += 1
            const number = Number(token.value.slice('token '.length))
            assert.ok(number > before || number === waitedFor, 'a token from before the call is called fresh')
            if (number === waitedFor) seen.joined += 1
            // One that dies on its way is signed again, once: a signer that gives dead ones only must not be asked for ever.
            const isAlive = nowMs >= token.signedAtMs && nowMs < token.expiresAtMs
            assert.ok(isAlive || number > (waitedFor ?? before + 1), 'a dead token was given')
          }
        } catch (error) {
          assert.ok(failures.has(error), `another failure than the signer's: ${error}`)
          seen.failed += 1
          const number = Number(/\d+/.exec(String(error))?.[0])
          assert.ok(number > before || number === waitedFor, 'a failure from before the call was kept')
        }
      }

      const waiting: Promise<void>[] = []
      const mistakes: unknown[] = []
      for (const step of steps) {
        if (step.do === 'get') waiting.push(get().catch(error => void mistakes.push(error)))
        else if (step.do === 'move') nowMs += step.ms
        else if (step.do === 'refuse') {
          const one = cached[step.which % (cached.length || 1)]
          if (one === undefined) continue
          assert.equal(cache.refuse(one), one.reused)
          refused.add(one.token)
        } else running[0]?.end(step.do === 'fail')
        await settle()
        assert.ok(running.length <= 1, 'two signings run at once')
        assert.deepEqual(mistakes, [])
      }
      // Nobody waits for ever: as long as the signer answers, so does the cache.
      while (running.length > 0) {
        running[0]?.end(false)
        await settle()
      }
      await Promise.all(waiting)
      assert.deepEqual(mistakes, [])
      // After all that, it still works, and keeps what it gets.
      const last = cache.get()
      await settle()
      running[0]?.end(false)
      const { token } = await last
      assert.ok(nowMs >= token.signedAtMs && nowMs < token.expiresAtMs)
      assert.equal((await cache.get()).token, token)
      assert.equal(running.length, 0)
    }),
    { numRuns: 300 },
  )
  for (const [what, times] of Object.entries(seen))
    assert.ok(times > 20, `${what} came about ${times} times only`)
})
