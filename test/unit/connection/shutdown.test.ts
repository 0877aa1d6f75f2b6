// Here SIGTERM is an event of this process alone; test/servers/shutdown.test.ts sends the signal.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { closeAtShutdown } from '../../../src/connection/shutdown.ts'

const turn = () => new Promise(resolve => setImmediate(resolve))

/** Tells the process to end, and listens to the signals that it sends itself. */
function prepare(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const kill = t.mock.method(process, 'kill', () => true)
  // Those of the test runner, which ends at a signal.
  const others = process.listeners('SIGTERM')
  process.removeAllListeners('SIGTERM')
  t.after(() => {
    const left = process.listenerCount('SIGTERM')
    for (const other of others) process.on('SIGTERM', other)
    assert.equal(left, 0)
  })
  return {
    signals: () => kill.mock.calls.map(call => call.arguments),
    terminate: () => process.emit('SIGTERM', 'SIGTERM'),
  }
}

function createSource() {
  const ending = Promise.withResolvers<void>()
  const source = {
    calls: 0,
    ending,
    shutDown() {
      source.calls += 1
      return ending.promise
    },
  }
  return source
}

test('ends all sources at SIGTERM by one listener, waits for them, and then lets the signal do its work', async t => {
  const { signals, terminate } = prepare(t)
  const sources = [createSource(), createSource()]
  for (const source of sources) closeAtShutdown(source)
  assert.equal(process.listenerCount('SIGTERM'), 1)
  terminate()
  assert.deepEqual(
    sources.map(({ calls }) => calls),
    [1, 1],
  )
  sources[0]?.ending.resolve()
  await turn()
  assert.deepEqual(signals(), [])
  assert.equal(process.listenerCount('SIGTERM'), 1)
  sources[1]?.ending.resolve()
  await turn()
  assert.deepEqual(signals(), [[process.pid, 'SIGTERM']])
  assert.equal(process.listenerCount('SIGTERM'), 0)
})

test('listens again for what is made after a signal that ended nothing', async t => {
  const { signals, terminate } = prepare(t)
  const source = createSource()
  closeAtShutdown(source)
  assert.equal(process.listenerCount('SIGTERM'), 1)
  source.ending.resolve()
  terminate()
  await turn()
  assert.equal(source.calls, 1)
  assert.equal(signals().length, 1)
})

test('waits three tenths of a second, and no longer', async t => {
  const { signals, terminate } = prepare(t)
  closeAtShutdown(createSource())
  terminate()
  t.mock.timers.tick(299)
  await turn()
  assert.deepEqual(signals(), [])
  t.mock.timers.tick(1)
  await turn()
  assert.equal(signals().length, 1)
})

test('lets the signal do its work where a source fails to end', async t => {
  const { signals, terminate } = prepare(t)
  const source = createSource()
  closeAtShutdown(source)
  source.ending.reject(new Error('no'))
  terminate()
  await turn()
  assert.equal(signals().length, 1)
})

test('leaves the end to who else listens, and goes first, so that none that listens once is gone', async t => {
  const { signals, terminate } = prepare(t)
  const order: string[] = []
  const listen = () => void order.push('other')
  process.once('SIGTERM', listen)
  const source = createSource()
  closeAtShutdown({
    shutDown() {
      order.push('source')
      return source.shutDown()
    },
  })
  source.ending.resolve()
  terminate()
  await turn()
  assert.deepEqual(order, ['source', 'other'])
  assert.deepEqual(signals(), [])
  // The next signal finds nobody else.
  terminate()
  await turn()
  assert.equal(signals().length, 1)
})
