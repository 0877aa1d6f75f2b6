// What happens to a connection while nobody looks: between two invocations, with the process running or frozen.
import assert from 'node:assert/strict'
import type { Bench, Start, Subject } from '../bench.ts'
import type { Fault } from '../table.ts'

/** A warm function, its connection hit, and an invocation that notices nothing: another session, the token at hand. */
async function survive(
  bench: Bench,
  hit: (subject: Subject) => Promise<unknown>,
  { aheadMs, ...start }: { readonly aheadMs?: number } & Start = {},
): Promise<void> {
  const subject = await bench.start(start)
  const before = await subject.ask()
  await hit(subject)
  const after = await subject.ask(aheadMs === undefined ? {} : { aheadMs })
  assert.notEqual(after.session, before.session)
  assert.equal((await subject.ask()).session, after.session)
  const { decisions } = bench.site
  assert.deepEqual(
    decisions.map(({ verdict }) => verdict),
    ['admitted', 'admitted'],
  )
  assert.equal(new Set(decisions.map(({ tokenId }) => tokenId)).size, 1)
}

/** As an administrator, an idle timeout or a failover does it; the server's word has then been passed on. */
const endSessions =
  ({ engine, site }: Bench) =>
  async ({ relay }: Subject) => {
    await engine.endSessions(site.servers.first)
    await relay.whenEnded()
  }

/** Does something to a frozen function's connection, and thaws it. */
const whileFrozen = (hit: (subject: Subject) => Promise<unknown>) => async (subject: Subject) => {
  subject.freeze()
  await hit(subject)
  subject.thaw()
}

export const betweenFaults: readonly Fault[] = [
  {
    name: 'the server ends the session between invocations',
    run: bench => survive(bench, endSessions(bench)),
  },
  {
    name: 'the connection is closed between invocations',
    run: bench => survive(bench, ({ relay }) => relay.cut()),
  },
  {
    name: 'the connection is reset between invocations',
    run: bench => survive(bench, ({ relay }) => relay.reset()),
  },
  {
    name: 'the server ends the session while frozen',
    run: bench => survive(bench, whileFrozen(endSessions(bench))),
  },
  {
    name: 'the connection is closed while frozen',
    run: bench =>
      survive(
        bench,
        whileFrozen(({ relay }) => relay.cut()),
      ),
  },
  {
    name: 'the connection is reset while frozen',
    run: bench =>
      survive(
        bench,
        whileFrozen(({ relay }) => relay.reset()),
      ),
  },
  {
    name: 'the connection is closed or reset just before the thaw, behind the event',
    async run(bench) {
      const subject = await bench.start()
      let before = await subject.ask()
      for (const hit of ['cut', 'reset'] as const) {
        subject.freeze()
        const asked = subject.ask()
        await subject.relay[hit]()
        subject.thaw()
        const after = await asked
        assert.notEqual(after.session, before.session)
        before = after
      }
      assert.equal(bench.site.decisions.length, 3)
    },
  },
  {
    name: 'the flow is silently dropped while frozen, for ten minutes',
    run: bench =>
      survive(
        bench,
        whileFrozen(async ({ relay }) => {
          relay.swallow()
          relay.heal()
          bench.site.moveClock(600_000)
        }),
        // Longer than a ping is thought unnecessary for, shorter than the token lives.
        // The time for a new connection is short.
        { aheadMs: 600_000, options: { connectTimeoutMs: 2_000 } },
      ),
  },
]
