// What happens to the server, and on the way to it.
import assert from 'node:assert/strict'
import pg from 'pg'
import type { Bench } from '../bench.ts'
import type { Fault } from '../table.ts'

const minutes = 60_000
const write = 'UPDATE place SET name = name'

export const serverFaults: readonly Fault[] = [
  {
    name: 'the server restarts',
    slow: true,
    async run({ start, engine, site: { servers, decisions } }) {
      const subject = await start()
      await subject.ask()
      const { port } = servers.first
      await servers.first.stop()
      servers.first = await engine.start('first', port)
      assert.equal(servers.first.port, port)
      await subject.ask()
      assert.equal(decisions.length, 2)
    },
  },
  {
    name: 'failover: the endpoint moves, and the old server turns read-only',
    async run({ start, engine, site: { servers, gateways } }) {
      const subject = await start()
      await subject.ask({ sql: [write] })
      try {
        await engine.setReadOnly(servers.first, true)
        subject.relay.aim(gateways.second.port)
        // The query that meets it fails, as no query is tried again: nobody knows what it would do. A server may take its time to
        // turn read-only.
        const failed = await invokeUntilFailed(() => subject.invoke({ sql: [write] }))
        assert.match(failed, /read-only/)
        assert.equal((await subject.ask({ sql: [write] })).place, 'second')
      } finally {
        await engine.setReadOnly(servers.first, false)
      }
    },
  },
  {
    name: 'failover: the endpoint moves, and the old server stays half open',
    async run({ start, site: { gateways, moveClock } }) {
      const subject = await start()
      await subject.ask()
      subject.relay.swallow()
      subject.relay.aim(gateways.second.port)
      subject.relay.heal()
      moveClock(minutes)
      assert.equal((await subject.ask({ aheadMs: minutes })).place, 'second')
    },
  },
  {
    name: 'the server is starting up (57P03)',
    async run({ start, engine, site }) {
      if (engine.protocol === 'mysql') return '— (no such state: it refuses connections until it is ready)'
      const subject = await start()
      const { session } = await subject.ask()
      // A backend that crashes makes the server recover; it does not before its other backends have ended, which one that is stopped
      // cannot do.
      process.kill(session, 'SIGSTOP')
      await crashBackend(site.servers.first.port)
      const refused = site.whenDecided(/recovery mode|starting up/)
      await subject.relay.cut()
      const asked = subject.ask()
      await refused
      process.kill(session, 'SIGCONT')
      assert.notEqual((await asked).session, session)
      return undefined
    },
  },
  {
    name: 'the server has too many connections',
    async run(bench) {
      const { start, engine, site } = bench
      const subject = await start()
      await subject.ask()
      await engine.limitSessions(site.servers.first, 1)
      try {
        await engine.endSessions(site.servers.first)
        await subject.relay.whenEnded()
        // MariaDB counts no session for the limit that was reset.
        const other = await start({ options: { resetSession: false } })
        await other.ask()
        const refused = site.whenDecided(/too many connections|max_user_connections/)
        const asked = subject.ask()
        await refused
        await other.relay.cut()
        await asked
      } finally {
        await engine.limitSessions(site.servers.first, undefined)
      }
    },
  },
  {
    name: 'new connections are throttled',
    slow: true,
    async run(bench) {
      const gateway = await bench.site.gate({ maxConnectionsPerSecond: 1 })
      const subjects = await Promise.all([1, 2, 3].map(() => bench.start({ gatewayPort: gateway.port })))
      await Promise.all(subjects.map(({ ask }) => ask()))
      assert.equal(gateway.stats().admitted, 3)
      assert.ok(gateway.stats().refused > 0)
    },
  },
  {
    name: 'the server refuses connections for two seconds',
    slow: true,
    async run({ start }) {
      const subject = await start()
      const { session } = await subject.ask()
      await subject.relay.refuse()
      await subject.relay.cut()
      const asked = subject.ask()
      const accepted = new Promise(resolve => setTimeout(resolve, 2000)).then(subject.relay.accept)
      assert.notEqual((await asked).session, session)
      await accepted
    },
  },
  {
    name: 'TLS is slow: 150 ms for each round trip',
    slow: true,
    async run({ start, site: { decisions } }) {
      const subject = await start({ prepare: relay => relay.delay(150) })
      await subject.ask()
      await subject.relay.cut()
      await subject.ask()
      assert.equal(decisions.length, 2)
    },
  },
  {
    name: 'DNS is slow: 300 ms for each name',
    async run({ start, site: { decisions } }) {
      const subject = await start({ environment: { LOOKUP_DELAY_MS: '300' } })
      await subject.ask()
      await subject.relay.cut()
      await subject.ask()
      assert.equal(decisions.length, 2)
    },
  },
  ...(['the connection', 'the TLS handshake', 'the login'] as const).map(
    (what, packets): Fault => ({
      name: `the first attempt to connect is silent: ${what} hangs`,
      slow: true,
      async run({ start, site: { decisions } }) {
        const subject = await start({
          prepare: relay => relay.swallowNext(packets),
          options: { connectTimeoutMs: 4000, max: 1 },
        })
        const { session } = await subject.ask()
        assert.equal(subject.relay.connections(), 2)
        assert.equal(subject.relay.clients(), 1)
        assert.match(subject.logs(), /another attempt goes beside it/)
        // And once more, when it is warm.
        await subject.relay.cut()
        subject.relay.swallowNext(packets)
        const startedMs = Date.now()
        assert.notEqual((await subject.ask()).session, session)
        assert.ok(Date.now() - startedMs < 2000)
        assert.ok(decisions.some(({ verdict }) => verdict === 'admitted'))
      },
    }),
  ),
  {
    name: 'the server is unreachable for good: the error gets out in time',
    async run({ start, site: { moveClock } }) {
      const subject = await start({ options: { connectTimeoutMs: 1500 } })
      await subject.ask()
      subject.relay.swallow()
      moveClock(minutes)
      const timeoutMs = 2500
      await subject.fail({ aheadMs: minutes }, /RdsIamError: .*No answer came/, timeoutMs)
      await subject.relay.refuse()
      await subject.fail({}, /RdsIamError: .*ECONNREFUSED/, timeoutMs)
      const errors = subject.logs().split('Invoke Error').slice(1)
      assert.equal(errors.length, 2)
      for (const error of errors) assert.match(error, /code: 'RDS_IAM_UNREACHABLE'/)
      await subject.relay.accept()
      subject.relay.heal()
      await subject.ask()
    },
  },
]

async function invokeUntilFailed(invoke: () => ReturnType<Awaited<ReturnType<Bench['start']>>['invoke']>) {
  for (let count = 0; count < 1000; count += 1) {
    const { error } = await invoke()
    if (error !== undefined) return error.errorMessage
  }
  throw new Error('no invocation failed')
}

/** Kills a backend as a crash does, and waits until the server has noticed. */
async function crashBackend(port: number): Promise<void> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', ssl: false })
  client.on('error', () => {})
  await client.connect()
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  const ended = new Promise(resolve => client.once('end', resolve))
  process.kill(rows[0].pid, 'SIGKILL')
  await ended
}
