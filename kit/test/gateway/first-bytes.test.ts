import assert from 'node:assert/strict'
import { realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { after, describe, it } from 'node:test'
import type pg from 'pg'
import { startTlsPostgres } from '../../../test/support/tls-postgres.ts'
import { findOnPath } from '../../src/database/mysql-program.ts'
import type { Gateway } from '../../src/index.ts'
import { always, before17, type Conduct, since17, withoutGss } from './first-bytes.ts'
import {
  makeClient,
  openGateway,
  openNegotiatedTls,
  packets,
  signToken,
  tryConnect,
  type Wire,
} from './support.ts'

/** What is told, but for the place in the server's source code. */
function wordsOf(answer: Buffer): string {
  return answer
    .toString('latin1')
    .replace(/F[\w-]+\.c\0L\d+\0R\w+\0/g, '')
    .replace(/E.{4}(?=SFATAL)/gs, 'E')
}

/** @param installation The folder of the server's programs; without it, the one that npm has. */
async function openServer(installation?: string) {
  // Nobody but the learner comes in without TLS.
  const rules = 'hostssl all all 127.0.0.1/32 password\nhostnossl all learner 127.0.0.1/32 trust'
  const { server, ca } = await startTlsPostgres(rules, {
    options: installation === undefined ? {} : { installation },
  })
  await server.query('CREATE USER learner')
  await server.query('CREATE DATABASE orders')
  const major = Number.parseInt(server.name.replace('PostgreSQL ', ''), 10)
  return { server, ca, major }
}

const onPath = findOnPath('postgres')
const servers = [await openServer()]
if (onPath !== undefined) servers.push(await openServer(dirname(dirname(realpathSync(onPath)))))
else it('a PostgreSQL on the PATH', { skip: 'there is none' }, () => {})

for (const { server, ca, major } of servers) {
  describe(`in front of ${server.name}`, async () => {
    const { gateway } = await openGateway({ after }, server)

    /** The server's own answer is what the gateway's is held against. */
    const isAsServer = (what: string, conduct: Conduct, takes = /^/) =>
      it(`answers as the server does: ${what}`, async t => {
        assert.equal(await logIn(gateway), undefined)
        const own = wordsOf(await conduct(t, { port: server.port, ca }))
        // A server that was built with GSSAPI offers what the gateway never does: there is nothing to compare.
        if (!takes.test(own)) return t.skip('the server has GSSAPI, the gateway has not')
        assert.equal(wordsOf(await conduct(t, gateway)), own)
      })
    for (const [what, conduct] of Object.entries(always)) isAsServer(what, conduct)
    for (const [what, conduct] of Object.entries(withoutGss)) isAsServer(what, conduct, /^N/)
    for (const [what, conduct] of Object.entries(major < 17 ? before17 : since17)) isAsServer(what, conduct)

    it('speaks protocol 3.0 until it knows the server, and then as new a one as the server', async t => {
      const { gateway } = await openGateway(t, server)
      for (const minor of [0, major < 18 ? 0 : 2]) {
        const wire = await openNegotiatedTls(t, gateway)
        wire.socket.write(packets.startup(learner, 0x3270f))
        const told = (await wire.take(13)).readInt32BE(5)
        wire.socket.write(packets.password(await signToken(gateway, { username: 'learner' })))
        const [key] = await takeUntilReady(wire)
        assert.equal(told, 0x30000 + minor)
        // Keys to cancel by are longer from 3.2 on.
        assert.equal(key?.length, minor === 0 ? 8 : 36)
        assert.equal(await logIn(gateway), undefined)
      }
    })

    it(`${major < 17 ? 'refuses' : 'takes'} direct TLS, which PostgreSQL has since 17`, async t => {
      const { gateway, decisions } = await openGateway(t, server)
      const direct = { sslnegotiation: 'direct' } as pg.ClientConfig
      for (let attempt = 0; attempt < 2; attempt += 1) {
        const error = await logIn(gateway, direct)
        const { user, verdict, reason, detail } = decisions[attempt] ?? {}
        if (major >= 17) {
          assert.deepEqual([error, user, verdict], [undefined, 'learner', 'admitted'])
          continue
        }
        // The first one tells the gateway, by its login, how old the server is.
        assert.equal(user, attempt === 0 ? 'learner' : '')
        assert.deepEqual([verdict, reason], ['refused', 'DirectTls'])
        assert.match(detail ?? '', new RegExp(`PostgreSQL ${major} behind the gateway does not know`))
        assert.match(
          error?.message ?? '',
          /Connection terminated unexpectedly|socket disconnected|ECONNRESET/,
        )
      }
      assert.equal(await logIn(gateway), undefined)
    })
  })
}

const learner = { user: 'learner', database: 'orders' }

function logIn(gateway: Gateway, options: pg.ClientConfig = {}) {
  const token = () => signToken(gateway, { username: learner.user })
  return tryConnect(makeClient(gateway, token, { ...learner, ...options }))
}

/** The bodies of the keys to cancel by, among the messages up to ReadyForQuery. */
async function takeUntilReady(wire: Wire): Promise<readonly Buffer[]> {
  const keys: Buffer[] = []
  for (;;) {
    const head = await wire.take(5)
    const body = await wire.take(head.readInt32BE(1) - 4)
    const type = head.toString('latin1', 0, 1)
    assert.notEqual(type, 'v', 'the version is agreed upon once')
    if (type === 'K') keys.push(body)
    if (type === 'Z') return keys
  }
}
