import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import fc from 'fast-check'
import { split, splits } from '../../../test/properties/garbage.ts'
import { assertProperty, effort } from '../../../test/support/properties.ts'
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts'
import {
  hostileBytes,
  mysqlProtocol,
  nothing,
  type Protocol,
  postgresProtocol,
  type Stage,
  stages,
} from './hostile-protocols.ts'
import { describeAnyMysql } from './mysql-support.ts'
import { openPostgres, type Scope, type Wire } from './support.ts'
import { openTap } from './tap.ts'

/** What never ends would be a failure without a word: it gets one. */
const limit = { timeout: 60_000 }
/** How long the gateway may take to let go of connections that are over, on a machine with much else to do. */
const settleMs = 15_000

const postgres = await openPostgres({ after })
await describeAnyMysql({ after }, server => {
  // It greets each of 500 clients before the gateway knows what they are.
  before(() => server.query('SET GLOBAL max_connections = 1000'))
  describeHostility(mysqlProtocol, server)
})
describe('postgres', () => describeHostility(postgresProtocol, postgres))

function describeHostility(protocol: Protocol, server: { readonly port: number }): void {
  it('takes whatever bytes come, however split, and goes on', {
    timeout: limit.timeout * effort,
  }, async t => {
    const subject = await openSubject(t, protocol, server, 60_000)
    const bytes = hostileBytes(protocol)
    const endings = fc.constantFrom<Ending>('end', 'cut')
    for (const stage of stages) {
      await assertProperty(
        fc.asyncProperty(bytes, splits, fc.nat({ max: 9 }), endings, async (bytes, sizes, tail, ending) => {
          // One of ten goes on for 300 kB.
          const endless = Array<Buffer>(tail === 0 ? 30 : 0).fill(Buffer.alloc(10_000, 'x'))
          const wire = await subject.open(stage)
          await send(wire, [...split(bytes, sizes), ...endless], ending)
        }),
        // What is right is tried each time, byte for byte.
        { numRuns: 80, examples: protocol.packets.map(bytes => [bytes, [1], 1, 'end']) },
      )
      await subject.assertUnharmed()
    }
  })

  it('closes 500 clients that never finish their handshake, and serves others meanwhile', limit, async t => {
    const subject = await openSubject(t, protocol, server, 2_000)
    const wires: Wire[] = []
    for (let number = 0; number < 500; number += 1) wires.push(await subject.begin(number))
    await subject.assertServing()
    await subject.assertUnharmed()
    for (const wire of wires) await wire.rest()
  })

  it('closes a client that goes on sending a byte at a time', limit, async t => {
    const subject = await openSubject(t, protocol, server, 1_000)
    const timers: NodeJS.Timeout[] = []
    t.after(() => timers.forEach(clearInterval))
    for (const stage of stages) {
      const { socket } = await subject.open(stage)
      socket.write(protocol.beginnings[stage].at(-1) ?? nothing)
      timers.push(setInterval(() => socket.write('x'), 50))
    }
    await subject.assertUnharmed()
  })

  it('does not grow by 1000 clients that come and go', limit, async t => {
    const subject = await openSubject(t, protocol, server, 60_000)
    const comeAndGo = async (count: number): Promise<void> => {
      const lane = async (first: number): Promise<void> => {
        for (let number = first; number < count; number += 20) {
          const { socket } = await subject.begin(number)
          socket.destroy()
        }
      }
      await Promise.all(Array.from({ length: 20 }, (_, first) => lane(first)))
      await subject.assertUnharmed()
    }
    await comeAndGo(100)
    const before = await subject.process.report()
    await comeAndGo(1_000)
    const grownBytes = (await subject.process.report()).usedBytes - before.usedBytes
    // Of a socket alone that is kept, there would be some kilobytes for each of them.
    assert.ok(grownBytes < 1_000_000, `the gateway grew by ${grownBytes} bytes`)
  })
}

type Ending = 'end' | 'cut'

/** A gateway in a process of its own, and what is asked of it. */
interface Subject {
  readonly process: GatewayProcess
  readonly open: (stage: Stage) => Promise<Wire>
  /** Opens a connection that goes as far as the beginning of that number. */
  readonly begin: (number: number) => Promise<Wire>
  readonly assertServing: () => Promise<void>
  /** Nothing is held any more, the server was told nothing, and a client that knows the protocol is served. */
  readonly assertUnharmed: () => Promise<void>
}

async function openSubject(
  scope: Scope,
  protocol: Protocol,
  server: { readonly port: number },
  handshakeTimeoutMs: number,
): Promise<Subject> {
  const tap = await openTap(scope, server)
  const { engine } = protocol
  const process = await startGatewayProcess(scope, {
    engine,
    upstream: { port: tap.port },
    handshakeTimeoutMs,
  })
  const { gateway } = process
  // Each test ends the last socket itself, which ends the one under it: the other way round, in one turn, Node crashes.
  const open = (stage: Stage) => protocol.open[stage]({ after() {} }, gateway)

  const assertServing = async (): Promise<void> => {
    const told = tap.take().filter(bytes => !protocol.isHarmless(bytes))
    assert.deepEqual(told, [], 'the server was told something')
    assert.equal(await protocol.connect(gateway), undefined)
    assert.equal(tap.take().length, 1)
  }
  const idle = (await process.report()).resources
  const settle = async (): Promise<void> => {
    for (const startedAtMs = performance.now(); ; await pause(20)) {
      const { open, resources } = await process.report()
      const hasMore = Object.entries(resources).some(([kind, count]) => count > (idle[kind] ?? 0))
      if (open === 0 && tap.open() === 0 && !hasMore) return
      const held = JSON.stringify({ clients: open, upstream: tap.open(), ...resources })
      const isLate = performance.now() - startedAtMs > settleMs
      assert.ok(!isLate, `the gateway still holds ${held}, and when idle ${JSON.stringify(idle)}`)
    }
  }
  const assertUnharmed = async (): Promise<void> => {
    await settle()
    await assertServing()
  }
  await assertServing()
  return {
    process,
    open,
    async begin(number) {
      // TLS costs both sides much: one of eight is enough of it.
      const stage = number % 8 === 0 ? 'after TLS' : 'before TLS'
      const beginnings = protocol.beginnings[stage]
      const wire = await open(stage)
      wire.socket.write(beginnings[Math.floor(number / 8) % beginnings.length] ?? nothing)
      return wire
    },
    assertServing,
    assertUnharmed,
  }
}

/** Sends the pieces, the first of them in turns of their own, and leaves: in order, or not. */
async function send({ socket, rest }: Wire, pieces: readonly Buffer[], ending: Ending): Promise<void> {
  for (const [index, piece] of pieces.entries()) {
    socket.write(piece)
    if (index < 20) await new Promise(resolve => setImmediate(resolve))
  }
  if (ending === 'end') {
    socket.end()
    await rest()
  }
  if (socket instanceof TLSSocket) socket.destroy()
  else socket.resetAndDestroy()
}
