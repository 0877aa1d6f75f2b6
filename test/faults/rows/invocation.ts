// The ways in which Lambda calls a function other than one invocation after the other, and what happens to its initialisation.
import assert from 'node:assert/strict'
import { type Bench, readAnswer } from '../bench.ts'
import { countOf, otherDatabase, question, waitForNone } from '../engines.ts'
import type { Fault } from '../table.ts'

const minutes = 60_000
const insert = "INSERT INTO note VALUES ('mine')"

type Rows = readonly Readonly<Record<string, unknown>>[]

/** Sixteen invocations at once, each in a transaction that it leaves open. */
async function overlap({ engine }: Bench, subject: Awaited<ReturnType<Bench['start']>>): Promise<void> {
  const { payload, error } = await subject.invoke({
    copies: 16,
    sql: ['BEGIN', insert, engine.pause, question(engine, 21)],
  })
  assert.equal(error, undefined)
  const answers = (payload as Rows[]).map(rows => rows[0])
  // Each sees its own note and nobody else's.
  assert.deepEqual(
    answers.map(row => [Number(row?.answer), Number(row?.notes)]),
    Array.from({ length: 16 }, () => [42, 1]),
  )
  assert.ok(new Set(answers.map(row => row?.session)).size > 1)
}

export const invocationFaults: readonly Fault[] = [
  {
    name: 'sixteen invocations at once (Managed Instances), their connections reset in between',
    async run(bench) {
      const subject = await bench.start({
        options: { max: 16 },
        environment: {
          AWS_LAMBDA_MAX_CONCURRENCY: '16',
          AWS_LAMBDA_INITIALIZATION_TYPE: 'lambda-managed-instances',
        },
      })
      await overlap(bench, subject)
      await overlap(bench, subject)
      await subject.relay.reset()
      await overlap(bench, subject)
      await subject.ask()
      assert.equal(new Set(bench.site.decisions.map(({ tokenId }) => tokenId)).size, 1)
      assert.ok(bench.site.decisions.length <= 32)
    },
  },
  {
    name: 'two databases in one handler, the connections of both reset',
    async run({ start, engine }) {
      const subject = await start({ other: { database: otherDatabase } })
      const ask = async () => {
        const { payload } = await subject.invoke({ sql: [question(engine, 4)] })
        return (payload as Rows[]).map(rows => readAnswer(rows, 4))
      }
      const before = await ask()
      assert.deepEqual(
        before.map(({ place }) => place),
        ['first', 'first stock'],
      )
      await subject.relay.reset()
      const after = await ask()
      assert.deepEqual(
        after.map(({ place }) => place),
        ['first', 'first stock'],
      )
      assert.equal(new Set([...before, ...after].map(({ session }) => session)).size, 4)
    },
  },
  {
    name: 'a streamed response, with a transaction left open and the connection reset',
    async run({ start }) {
      const subject = await start()
      const { session } = await subject.ask({ call: 'streaming' })
      await subject.invoke({ call: 'streaming', sql: ['BEGIN', insert] })
      assert.equal((await subject.ask({ call: 'streaming' })).session, session)
      await subject.relay.reset()
      assert.notEqual((await subject.ask({ call: 'streaming' })).session, session)
    },
  },
  {
    name: 'a durable function is suspended in a transaction, and entered again',
    notStandalone: 'nothing tells a pool that an invocation which still has a connection was suspended',
    async run({ start, engine }) {
      const subject = await start()
      await subject.ask({ call: 'durable' })
      const lock = 'UPDATE place SET name = name'
      const suspend = async (timeoutMs?: number) => {
        const sql = ['BEGIN', insert, lock]
        const { payload } = await subject.invoke({ call: 'suspended', sql }, timeoutMs)
        assert.equal(payload, 'suspended')
        // Its locks are gone with its transaction.
        await subject.ask({ call: 'durable', sql: [lock] })
      }
      await suspend()
      await suspend(1000)
      // The timer that middy set for the suspended invocation goes off in the middle of a later one, and is not about that one.
      const untilMs = Date.now() + 1000
      while (Date.now() < untilMs) await subject.ask({ call: 'durable', sql: [engine.pause] })
      await subject.relay.reset()
      await subject.ask({ call: 'durable' })
    },
  },
  {
    name: 'connecting ahead fails',
    async run({ start, site: { gateways, decisions } }) {
      // Nothing listens at port 1; whoever connects loses the connection.
      const subject = await start({ prepare: relay => relay.aim(1), options: { connectTimeoutMs: 3000 } })
      await subject.relay.whenConnected(1)
      subject.relay.aim(gateways.first.port)
      await subject.ask()
      assert.equal(decisions.length, 1)
    },
  },
  {
    name: 'connecting ahead went stale: the first invocation comes an hour later',
    async run({ start, site }) {
      const subject = await start()
      while (!subject.logs().includes('Database connection opened'))
        await new Promise(resolve => setImmediate(resolve))
      subject.freeze()
      subject.relay.swallow()
      subject.relay.heal()
      site.moveClock(60 * minutes)
      subject.thaw()
      await subject.ask({ aheadMs: 60 * minutes })
      assert.equal(new Set(site.decisions.map(({ tokenId }) => tokenId)).size, 2)
    },
  },
  {
    name: 'the initialisation is cut off: frozen in the middle of connecting, for longer than connecting may take',
    async run({ start }) {
      const subject = await start({
        prepare: relay => relay.stall(),
        options: { connectTimeoutMs: 1500 },
      })
      await subject.relay.whenConnected(1)
      subject.freeze()
      subject.relay.swallow()
      await new Promise(resolve => setTimeout(resolve, 1600))
      subject.relay.resume()
      subject.relay.heal()
      subject.thaw()
      await subject.ask()
    },
  },
  {
    name: 'SIGTERM comes with the thaw, where an extension is registered',
    async run({ start, engine, site: { servers } }) {
      // Some that were cut off earlier may still run their last query.
      await engine.endSessions(servers.first)
      await waitForNone(servers.first, engine.sessions)
      const subject = await start()
      await subject.ask()
      const aborted = await countOf(servers.first, engine.abortedSessions)
      subject.freeze()
      const ended = subject.shutDown()
      subject.thaw()
      const { code, signal } = await ended
      assert.deepEqual({ code, signal }, { code: null, signal: 'SIGTERM' })
      await waitForNone(servers.first, engine.sessions)
      assert.equal(await countOf(servers.first, engine.abortedSessions), aborted)
    },
  },
]
