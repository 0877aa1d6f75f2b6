// What handlers, and the middlewares around them, do to a connection.
import assert from 'node:assert/strict'
import type { Bench } from '../bench.ts'
import { waitForNone } from '../engines.ts'
import type { Event } from '../functions/event.ts'
import type { Fault } from '../table.ts'

const inTransaction = ['BEGIN', "INSERT INTO note VALUES ('left')"]

/** An invocation that goes wrong, and one behind it that does not know; whether on the same connection. */
async function follow(
  { start }: Bench,
  go: (subject: Awaited<ReturnType<Bench['start']>>) => Promise<unknown>,
  { keeps, warns }: { readonly keeps: boolean; readonly warns?: RegExp },
): Promise<void> {
  // One connection, so that a pool has no other to give.
  const subject = await start({ options: { max: 1 } })
  const { session } = await subject.ask()
  await go(subject)
  const after = await subject.ask()
  assert.equal(after.session === session, keeps)
  assert.equal((await subject.ask()).session, after.session)
  if (warns !== undefined) assert.match(subject.logs(), warns)
}

const answers = (event: Event, payload?: unknown) => async (subject: Awaited<ReturnType<Bench['start']>>) => {
  const invocation = await subject.invoke(event)
  assert.equal(invocation.error, undefined)
  if (payload !== undefined) assert.equal(invocation.payload, payload)
}

const transactionLeft = /left a transaction open/

/** A handler without middy that is late: it leaves its work to itself, or Lambda ends its process. */
async function giveUp({ start, engine }: Bench): Promise<void> {
  const givenUp = /the handler gave up on its work/
  // What still works has its connection to itself, until it releases it.
  const two = await start({ options: { max: 2 } })
  const { session } = await two.ask()
  await two.fail({ call: 'abandoned', sql: inTransaction, ending: 'hangs' }, givenUp, 500)
  const after = await two.ask()
  assert.notEqual(after.session, session)
  assert.equal((await two.ask()).session, after.session)

  // Then it comes back without its transaction.
  const one = await start({ options: { max: 1 } })
  const first = await one.ask()
  const work = [...inTransaction, ...Array.from({ length: 80 }, () => engine.pause)]
  await one.fail({ call: 'abandoned', sql: work }, givenUp, 500)
  assert.doesNotMatch(one.logs(), transactionLeft)
  assert.equal((await one.ask()).session, first.session)
  assert.match(one.logs(), transactionLeft)

  const { error } = await one.invoke({ sql: inTransaction, ending: 'hangs' }, 500)
  assert.equal(error?.errorType, 'Sandbox.Timedout')
  await (await start()).ask()
}

export const handlerFaults: readonly Fault[] = [
  {
    name: 'the handler throws inside a transaction',
    run: bench =>
      follow(bench, ({ fail }) => fail({ sql: inTransaction, ending: 'throws' }, /the handler failed/), {
        keeps: true,
        warns: transactionLeft,
      }),
  },
  {
    name: 'the handler returns inside a transaction, with locks',
    run: bench =>
      follow(
        bench,
        async subject => {
          await answers({ sql: [...inTransaction, "UPDATE place SET name = 'mine'"] })(subject)
          const { first } = bench.site.servers
          // What a release does ends a moment later; what a middleware does is sent behind the response.
          await waitForNone(first, bench.engine.openTransactions)
        },
        { keeps: true, warns: transactionLeft },
      ),
  },
  {
    name: 'the function is frozen before a rollback is answered, and its flow is lost',
    slow: true,
    async run({ start, site }) {
      const subject = await start({ options: { max: 1 } })
      const { session } = await subject.ask()
      subject.relay.delay(500)
      await answers({ sql: inTransaction })(subject)
      subject.freeze()
      subject.relay.swallow()
      subject.relay.heal()
      subject.relay.delay(0)
      site.moveClock(60_000)
      subject.thaw()
      assert.notEqual((await subject.ask({ aheadMs: 60_000 })).session, session)
      assert.match(subject.logs(), transactionLeft)
      // It has been silent for a minute too.
      assert.match(subject.logs(), /reason: '(silent|not-restored)'/)
    },
  },
  {
    name: 'the handler returns with a query running',
    run: bench =>
      follow(bench, answers({ ending: 'leaves a query running' }), {
        keeps: false,
        warns: /left a query running/,
      }),
  },
  {
    name: 'the handler returns without releasing what it took of a pool',
    notStandalone: 'no invocation bounds the pool: what is not released is in use',
    async run(bench) {
      if (!bench.isPool) return '— (nothing is taken of a client)'
      return follow(bench, answers({ sql: inTransaction, ending: 'keeps the connection' }), {
        keeps: false,
        warns: /did not release every connection/,
      })
    },
  },
  {
    name: "the handler is cut off: by middy's timeoutEarlyInMillis; without middy by itself, and by Lambda",
    run: bench =>
      bench.isStandalone
        ? giveUp(bench)
        : follow(bench, ({ fail }) => fail({ sql: inTransaction, ending: 'hangs' }, /TimeoutError/, 500), {
            keeps: false,
            warns: /cut off/,
          }),
  },
  {
    name: 'the handler ends the connection or the pool',
    notStandalone: 'a pool that its own code ended is to stay ended',
    run: bench => follow(bench, answers({ ending: 'ends it' }), { keeps: false }),
  },
  {
    name: 'the handler destroys the connection',
    run: bench => follow(bench, answers({ ending: 'destroys it' }), { keeps: false }),
  },
  {
    name: 'the handler runs a query that times out',
    run: bench =>
      follow(bench, ({ fail }) => fail({ ending: 'runs out of time with a query' }, /timeout/), {
        keeps: false,
      }),
  },
  {
    name: 'the handler leaves settings, listeners, temporary tables and locks, with resetSession',
    async run({ start, engine: { sql } }) {
      const subject = await start({ options: { max: 1, resetSession: true } })
      const { session } = await subject.ask()
      await answers({ sql: sql.change })(subject)
      const { payload } = await subject.invoke({ sql: [sql.look] })
      assert.deepEqual(payload, [sql.clean])
      assert.equal((await subject.ask()).session === session, sql.canReset)
    },
  },
  {
    name: 'an earlier middleware answers early',
    notStandalone: 'there is no other middleware',
    run: bench => follow(bench, answers({ early: 'answers' }, 'an early answer'), { keeps: true }),
  },
  {
    name: "a later middleware's before throws",
    notStandalone: 'there is no other middleware',
    run: bench =>
      follow(bench, ({ fail }) => fail({ late: 'throws' }, /a later middleware failed/), { keeps: true }),
  },
  {
    name: 'a later middleware answers early, so that no after runs',
    notStandalone: 'there is no other middleware',
    run: bench => follow(bench, answers({ late: 'answers' }, 'a late answer'), { keeps: true }),
  },
  {
    name: "another middleware's onError returns a response, so that no other runs",
    notStandalone: 'there is no other middleware',
    run: bench =>
      follow(
        bench,
        answers(
          { sql: inTransaction, ending: 'throws', late: 'answers the error' },
          'an answer to the error',
        ),
        { keeps: true, warns: transactionLeft },
      ),
  },
]
