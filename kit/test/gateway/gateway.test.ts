import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { after, describe, it } from 'node:test'
import * as tls from 'node:tls'
import { RdsIamError } from '../../../src/errors/rds-iam-error.ts'
import { runModule } from '../../../test/support/node-process.ts'
import { limitConnections } from '../../src/gateway/limit.ts'
import { type GatewayOptions, startDatabase, startGateway } from '../../src/index.ts'
import { waitUntil } from './mysql-support.ts'
import {
  makeClient,
  openGateway,
  openNegotiatedTls,
  openPostgres,
  openWire,
  packets,
  region,
  signToken,
  standIn,
  tryConnect,
} from './support.ts'

const postgres = await openPostgres({ after })

describe('the limit on new connections', () => {
  it('lets so many through in any second, and no refused one counts', () => {
    const pass = limitConnections(2)
    assert.deepEqual([0, 500, 600, 999, 1000, 1001, 1499, 1500].map(pass), [
      true,
      true,
      false,
      false,
      true,
      false,
      false,
      true,
    ])
  })

  it('is none where none is given', () => {
    const pass = limitConnections(undefined)
    assert.ok(Array.from({ length: 1000 }, () => pass(0)).every(Boolean))
  })

  it('is told apart from a bad token in the decision log alone', async t => {
    let now = Date.now()
    const { gateway, decisions } = await openGateway(t, postgres, {
      maxConnectionsPerSecond: 3,
      now: () => now,
    })
    for (let attempt = 0; attempt < 3; attempt += 1)
      assert.equal(await tryConnect(makeClient(gateway)), undefined)
    const error = await tryConnect(makeClient(gateway))
    assert.equal(error?.code, '28000')
    assert.equal(error?.message, 'PAM authentication failed for user "app"')
    assert.equal(decisions[3]?.reason, 'ThrottlingException')
    assert.equal(decisions[3]?.at.getTime(), now)
    now += 1000
    assert.equal(await tryConnect(makeClient(gateway)), undefined)
    assert.deepEqual(gateway.stats(), { ...gateway.stats(), connections: 5, admitted: 4, refused: 1 })
  })
})

it('refuses a user that is no IAM user as RDS does, whatever the token', async t => {
  const { gateway, decisions } = await openGateway(t, postgres, { users: ['app'] })
  assert.equal(await tryConnect(makeClient(gateway)), undefined)
  const token = await signToken(gateway, { username: 'postgres' })
  const error = await tryConnect(makeClient(gateway, token, { user: 'postgres' }))
  assert.equal(error?.code, '28P01')
  assert.equal(error?.message, 'password authentication failed for user "postgres"')
  assert.equal(decisions[1]?.reason, 'NotIamUser')
})

it('goes on when the listener of decisions throws', async t => {
  const warned = once(process, 'warning')
  const { gateway } = await openGateway(t, postgres, {
    onDecision: () => {
      throw new Error('listener broke')
    },
  })
  assert.equal(await tryConnect(makeClient(gateway)), undefined)
  assert.match(String((await warned)[0]), /listener broke/)
})

it('shows no line break of a client’s in a decision', async t => {
  const { gateway, decisions } = await openGateway(t, postgres, { users: [] })
  const user = 'x\n2026-01-01 admitted "root"'
  await tryConnect(makeClient(gateway, 'wrong', { user }))
  assert.equal(decisions[0]?.user, user)
  assert.ok(!decisions[0]?.detail.includes('\n'))
})

it('says in words that a client does not trust it', async t => {
  const { gateway, decisions } = await openGateway(t, postgres)
  // https://www.rfc-editor.org/rfc/rfc8446#section-6.2; Node's own client leaves without one.
  const alerts = {
    42: 'bad certificate',
    45: 'certificate expired',
    46: 'certificate unknown',
    48: 'unknown ca',
  }
  for (const [index, [alert, words]] of Object.entries(alerts).entries()) {
    const plain = await openWire(t, gateway.port)
    plain.socket.write(packets.sslRequest)
    await plain.take(1)
    const hello = await new Promise<Buffer>(resolve => {
      const write = (chunk: Buffer, _encoding: string, done: () => void) => {
        resolve(chunk)
        done()
      }
      const under = new Duplex({ read() {}, write })
      const client = tls.connect({ socket: under, maxVersion: 'TLSv1.2' })
      client.on('error', () => {})
      t.after(() => client.destroy())
    })
    plain.socket.write(hello)
    await plain.take(5)
    plain.socket.write(Buffer.from([0x15, 3, 3, 0, 2, 2, Number(alert)]))
    await plain.rest()
    await waitUntil(async () => decisions.length === index + 1)
    const decision = decisions[index]
    assert.deepEqual([decision?.verdict, decision?.reason], ['refused', 'NotTrusted'])
    assert.match(decision?.client ?? '', /^127\.0\.0\.1:\d+$/)
    assert.ok(decision?.detail.includes(`(its TLS alert: ${words})`), decision?.detail)
  }
})

describe('beyond loopback', () => {
  const policy = {
    document: {
      Version: '2012-10-17',
      Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' },
    },
    resourceId: 'db-X',
  }
  const own = { accessKeyId: 'AKIAMINE', secretAccessKey: 'secret' }
  const open = { upstream: { port: 1 }, region, host: '0.0.0.0' }

  it('does not take the key pair that everybody knows, unless the users and a policy are named', async () => {
    for (const options of [
      {},
      { users: ['app'] },
      { policy },
      { credentials: [own, standIn] },
      { host: '::' },
      { host: '::ffff:10.0.0.1' },
    ]) {
      await assert.rejects(startGateway({ ...open, ...options }), error => {
        assert.ok(error instanceof RdsIamError)
        assert.equal(error.code, 'RDS_IAM_OPTIONS')
        assert.match(
          error.message,
          /`host` is reached from other machines, where everybody knows the key pair defaultkey/,
        )
        return true
      })
    }
    await assert.rejects(startDatabase({ engine: 'postgres', users: ['app'], host: '0.0.0.0' }), {
      code: 'RDS_IAM_OPTIONS',
    })
  })

  it('starts where they are named, or with credentials of its own', async () => {
    for (const options of [
      { users: ['app'], policy },
      { credentials: [own] },
      { credentials: [{ ...standIn, secretAccessKey: 'another' }] },
    ])
      await (await startGateway({ ...open, ...options })).close()
  })
})

describe('closing', () => {
  it('ends sessions, handshakes and logins, and resolves when nothing is left', async t => {
    const { gateway } = await openGateway(t, postgres)
    const client = makeClient(gateway)
    await client.connect()
    const session = new Promise(resolve => client.once('end', resolve))
    const query = assert.rejects(client.query('select pg_sleep(60)'))
    const plain = await openWire(t, gateway.port)
    const encrypted = await openNegotiatedTls(t, gateway)
    encrypted.socket.write(Buffer.concat([packets.startup(), packets.password(await signToken(gateway))]))
    await gateway.close()
    assert.equal(gateway.stats().open, 0)
    await Promise.all([session, query, plain.rest(), encrypted.rest()])
    await assert.rejects(openWire(t, gateway.port), { code: 'ECONNREFUSED' })
  })

  it('may come in the very turn in which a client’s TLS handshake ends', async () => {
    // In a process of its own, as Node itself breaks where the sockets are destroyed in the wrong order.
    const closed = await runModule(`
      import { once } from 'node:events'
      import { connect, TLSSocket } from 'node:tls'
      import { startGateway } from './kit/src/index.ts'
      const { emit } = TLSSocket.prototype
      let onSecure = () => {}
      TLSSocket.prototype.emit = function (event, ...values) {
        const isHeard = emit.call(this, event, ...values)
        if (event === 'secure') onSecure()
        return isHeard
      }
      let closed = 0
      for (let round = 0; round < 8; round += 1) {
        const gateway = await startGateway({ upstream: { port: 1 }, region: 'eu-west-1' })
        let sides = 0
        // The client's side is the first one to be done.
        onSecure = () => (sides += 1) === 2 && gateway.close().then(() => (closed += 1))
        const { port, ca } = gateway
        const client = connect({ port, ca, host: 'localhost', ALPNProtocols: ['postgresql'] })
        client.on('error', () => {}).resume()
        await once(client, 'close')
        await gateway.close()
      }
      console.log(closed)
    `)
    assert.equal(closed, 8)
  })

  it('is done once, however often it is asked for', async t => {
    const { gateway } = await openGateway(t, postgres)
    await Promise.all([gateway.close(), gateway.close()])
    await gateway.close()
  })
})

describe('starting', () => {
  it('listens on loopback and a free port unless told otherwise', async t => {
    const { gateway } = await openGateway(t, postgres)
    assert.equal(gateway.host, '127.0.0.1')
    assert.ok(gateway.port > 0)
  })

  it('fails with one error where the port is taken', async t => {
    const { gateway } = await openGateway(t, postgres)
    await assert.rejects(startGateway({ upstream: { port: 1 }, region, port: gateway.port }), error => {
      assert.ok(error instanceof RdsIamError)
      assert.equal(error.code, 'RDS_IAM_OPTIONS')
      assert.match(error.message, /EADDRINUSE/)
      assert.ok(error.cause instanceof Error)
      return true
    })
  })

  it('names every wrong option at once, with what it got, and shows no secret', async () => {
    const options = {
      engine: 'oracle',
      upstream: { port: '5432', host: 'postgres://db', password: 7, ca: './ca.pem' },
      region: 'Ireland',
      port: 70_000,
      host: '',
      endpoints: [{ host: '10.0.0.1', port: 0 }],
      credentials: [
        { accessKeyId: 'AKIA1', secretAccessKey: ['leaked-secret'] },
        { accessKeyId: 'AKIA1', secretAccessKey: 'x', expiration: '2026' },
      ],
      users: ['app', ''],
      policy: { document: {}, resourceId: 'arn:aws:rds:x', accountId: '1' },
      maxConnectionsPerSecond: 0,
      handshakeTimeoutMs: -1,
      onDecision: 'log',
      now: 5,
      polcy: {},
    }
    await assert.rejects(startGateway(options as unknown as GatewayOptions), error => {
      assert.ok(error instanceof RdsIamError)
      for (const expected of [
        "`engine` is not 'postgres' or 'mysql'; got \"oracle\" (string)",
        '`upstream.port` is not a whole number from 1 to 65535; got "5432" (string)',
        '`upstream.host` has a scheme ("postgres://"); give the host name alone',
        '`upstream.password` is not a text with something in it; got a value of the type number',
        '`upstream.ca` is a path ("./ca.pem"); pass the text of the file',
        '`region` is not the name of a Region, such as eu-west-1; got "Ireland" (string)',
        '`port` is not a whole number from 0 to 65535; got 70000 (number)',
        '`host` is not a text without spaces around it; got "" (string)',
        '`endpoints[0].host` is an IP address, which no token is signed for; give the name; got "10.0.0.1"',
        '`endpoints[0].port` is not a whole number from 1 to 65535; got 0 (number)',
        '`credentials[0].secretAccessKey` is not a text with something in it; got a value of the type object',
        '`credentials[1].expiration` is not a valid Date; got "2026" (string)',
        '`credentials` has an access key twice',
        '`users[1]` is not the name of a database user, a text that is not empty; got "" (string)',
        '`policy.resourceId` is an ARN; give the DbiResourceId alone',
        '`policy.accountId` is not the number of an AWS account, a text of twelve digits',
        '`policy.document.Statement` must be an object, got nothing',
        '`maxConnectionsPerSecond` is not a whole number of at least 1; got 0 (number)',
        '`handshakeTimeoutMs` is not a whole number from 1 to 2147483647; got -1 (number)',
        '`onDecision` is not a function; got a string',
        '`now` is not a function; got a number',
        '`polcy` is not an option',
      ]) {
        assert.ok(error.message.includes(expected), `${expected}\nis not in\n${error.message}`)
      }
      assert.ok(!error.message.includes('leaked-secret'))
      return true
    })
  })

  it('says what is wrong where there are no options, or lists that are none', async () => {
    for (const options of [
      undefined,
      null,
      'x',
      [],
      {},
      { upstream: null, region: 5, users: 'app', policy: [] },
    ]) {
      await assert.rejects(startGateway(options as unknown as GatewayOptions), { code: 'RDS_IAM_OPTIONS' })
    }
  })
})
