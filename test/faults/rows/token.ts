// What happens to the token, to the credentials that sign it, and to the server's opinion of it.
import assert from 'node:assert/strict'
import type { Bench } from '../bench.ts'
import { keys, variablesOf } from '../seen.ts'
import type { Fault } from '../table.ts'

const minutes = 60_000

const verdictsOf = ({ site }: Bench) => site.decisions.map(({ verdict }) => verdict)
const tokensOf = ({ site }: Bench) => new Set(site.decisions.map(({ tokenId }) => tokenId)).size

export const tokenFaults: readonly Fault[] = [
  {
    name: 'the token expires while frozen, and the connection is lost',
    async run(bench) {
      const subject = await bench.start()
      await subject.ask()
      subject.freeze()
      await subject.relay.cut()
      bench.site.moveClock(20 * minutes)
      subject.thaw()
      await subject.ask({ aheadMs: 20 * minutes })
      assert.deepEqual([verdictsOf(bench), tokensOf(bench)], [['admitted', 'admitted'], 2])
    },
  },
  {
    name: 'the token expires while frozen, and the connection outlives it',
    async run(bench) {
      const subject = await bench.start()
      const { session } = await subject.ask()
      subject.freeze()
      bench.site.moveClock(20 * minutes)
      subject.thaw()
      assert.equal((await subject.ask({ aheadMs: 20 * minutes })).session, session)
      assert.equal(bench.site.decisions.length, 1)
    },
  },
  {
    name: 'the credentials rotate',
    async run(bench) {
      const subject = await bench.start()
      await subject.ask()
      await subject.relay.cut()
      bench.site.moveClock(20 * minutes)
      await subject.ask({ aheadMs: 20 * minutes, environment: variablesOf(keys.second) })
      assert.deepEqual(
        bench.site.decisions.map(({ detail }) => /"(\w+)"/.exec(detail)?.[1]),
        [keys.first.accessKeyId, keys.second.accessKeyId],
      )
    },
  },
  {
    name: 'the credentials expire, and are renewed',
    async run(bench) {
      const ends = (ms: number) => ({ AWS_CREDENTIAL_EXPIRATION: new Date(Date.now() + ms).toISOString() })
      const subject = await bench.start({ environment: ends(5 * minutes) })
      await subject.ask()
      bench.site.moveClock(6 * minutes)
      // An open connection needs none.
      await subject.ask({ aheadMs: 6 * minutes })
      await subject.relay.cut()
      await subject.fail({}, /RdsIamError: .*The AWS credentials expired/)
      assert.match(subject.logs(), /code: 'RDS_IAM_CREDENTIALS'/)
      await subject.ask({ environment: { ...variablesOf(keys.second), ...ends(60 * minutes) } })
      assert.deepEqual([verdictsOf(bench), tokensOf(bench)], [['admitted', 'admitted'], 2])
    },
  },
  {
    name: 'the signer fails once',
    async run(bench) {
      const subject = await bench.start({
        environment: { FAULTY_CREDENTIALS: 'yes' },
        options: { tokenMarginMs: 0 },
      })
      await subject.ask()
      await subject.relay.cut()
      bench.site.moveClock(20 * minutes)
      await subject.fail({ failingSignings: 1, aheadMs: 20 * minutes }, /the credentials are not to be had/)
      assert.match(subject.logs(), /code: 'RDS_IAM_CREDENTIALS'/)
      await subject.ask()
      assert.deepEqual([verdictsOf(bench), tokensOf(bench)], [['admitted', 'admitted'], 2])
    },
  },
  {
    name: 'the token is refused once, then accepted',
    async run(bench) {
      const { site } = bench
      let aheadMs = 0
      const startedMs = Date.now()
      const gateway = await site.gate({
        maxConnectionsPerSecond: 1,
        // The limit is as it was, until it has refused somebody.
        now: () => startedMs + aheadMs,
        onDecision: ({ verdict }) => {
          if (verdict === 'refused') aheadMs += 1000
        },
      })
      const subject = await bench.start({ gatewayPort: gateway.port })
      await subject.ask()
      await subject.relay.cut()
      await subject.ask()
      assert.deepEqual(verdictsOf(bench), ['admitted', 'refused', 'admitted'])
    },
  },
  {
    name: 'the policy is wrong for longer than connecting may take, and is mended',
    slow: true,
    async run({ site, start }) {
      const gateway = await site.gate({ credentials: [keys.second] })
      const subject = await start({ gatewayPort: gateway.port, options: { connectTimeoutMs: 3000 } })
      await subject.fail({}, /RdsIamError: .*The server refused the authentication token/)
      // What was connecting ahead of the first invocation has the same time, and may end a moment later.
      while (!subject.logs().includes('connection:failed'))
        await new Promise(resolve => setImmediate(resolve))
      const { refused } = gateway.stats()
      for (const count of [1, 2]) {
        await subject.fail(
          {},
          /RdsIamError: .*after 1 attempt and no more, because \d+ were refused since 20/,
        )
        assert.equal(gateway.stats().refused, refused + count)
      }
      await subject.ask({ environment: variablesOf(keys.second) })
      assert.equal(gateway.stats().admitted, 1)
    },
  },
]
