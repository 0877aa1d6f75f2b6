import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect as connectPlain } from 'node:net'
import { after, test } from 'node:test'
import tls, { connect, createServer, type TLSSocket } from 'node:tls'
import { makeAuthority } from '../../../kit/src/index.ts'
import { plainTls } from '../../../src/trust/plain-tls.ts'
import { createTrust, requireVerified } from '../../../src/trust/verified-tls.ts'

const endpoint = { host: 'localhost', port: 5432 }
const [authority, stranger] = await Promise.all([makeAuthority('trusted'), makeAuthority('stranger')])
const server = createServer(await authority.issue({ names: ['localhost'] }))
server.on('tlsClientError', () => {})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
after(() => server.close())
const { port } = server.address() as AddressInfo

const settings = { region: 'eu-west-1', endpoint, extraCaFile: undefined }

async function open(options: {
  readonly ca: string
  readonly rejectUnauthorized: boolean
}): Promise<TLSSocket> {
  const stream = connect({ port, servername: 'localhost', ...options })
  await once(stream, 'secureConnect')
  return stream
}

/** @returns The error that a connection to the server failed with, if it did. */
async function connectTo(
  t: { after(end: () => void): void },
  options: object,
): Promise<NodeJS.ErrnoException> {
  const stream = connect({ port, servername: 'localhost', ...options })
  t.after(() => stream.destroy())
  return once(stream, 'secureConnect').then(
    () => undefined as never,
    error => error,
  )
}

test('lets a token go over TLS to a verified server', async () => {
  const stream = await open({ ca: authority.ca, rejectUnauthorized: true })
  requireVerified(stream, endpoint)
  stream.destroy()
})

for (const [title, openStream] of [
  // A connection that was not verified, made here to see that no token goes over it.
  ['TLS that somebody chose not to verify', () => open({ ca: stranger.ca, rejectUnauthorized: false })],
  ['a plain socket', async () => connectPlain(port)],
  [
    'a plain socket that claims to be verified',
    async () => Object.assign(connectPlain(port), { encrypted: true, authorized: true }),
  ],
  [
    'TLS whose handshake has not ended',
    async () => connect({ port, servername: 'localhost', ca: authority.ca }),
  ],
  [
    'TLS that has been closed',
    async () => (await open({ ca: authority.ca, rejectUnauthorized: true })).destroy(),
  ],
] as const) {
  test(`keeps a token from ${title}, whatever the driver did before`, async () => {
    const stream = await openStream()
    assert.throws(() => requireVerified(stream, endpoint), {
      code: 'RDS_IAM_TRUST',
      message: 'The connection is not verified TLS to localhost; no authentication token was sent.',
    })
    stream.destroy()
  })
}

test('makes one set of TLS options for all connections', async () => {
  const trust = createTrust({ ...settings, ca: [] })
  const [one, other] = await Promise.all([trust.load(), trust.load()])
  assert.equal(one, other)
  assert.equal((await trust.load()).secureContext, one.secureContext)
})

test('trusts nobody before the authorities are read, and nobody can add to them then', async t => {
  const trust = createTrust({ ...settings, ca: [authority.ca] })
  assert.equal(trust.tls.ca.length, 0)
  const early = trust.tls.secureContext
  const refused = await connectTo(t, { secureContext: early })
  assert.equal(refused.code, 'SELF_SIGNED_CERT_IN_CHAIN')
  await trust.load()
  assert.notEqual(trust.tls.secureContext, early)
  assert.equal(await connectTo(t, { secureContext: trust.tls.secureContext }), undefined)
  assert.ok(trust.tls.ca.includes(authority.ca))
  assert.equal(trust.tls.ca, trust.tls.ca)
  assert.throws(() => trust.tls.ca.push(stranger.ca), TypeError)
})

// Since Node.js 22.19.
const skip = typeof tls.setDefaultCACertificates !== 'function' && 'this Node.js keeps its own authorities'

test('does not trust those that Node trusts before the authorities are read', { skip }, async t => {
  const before = tls.getCACertificates('default')
  t.after(() => tls.setDefaultCACertificates(before))
  tls.setDefaultCACertificates([authority.ca])
  assert.equal(await connectTo(t, {}), undefined)
  const { secureContext } = createTrust({ ...settings, ca: [] }).tls
  assert.equal((await connectTo(t, { secureContext })).code, 'SELF_SIGNED_CERT_IN_CHAIN')
})

test('verifies chain and endpoint, whatever the environment or a driver would do without being told', async () => {
  const { tls: options } = createTrust({ ...settings, ca: [] })
  const { minVersion, rejectUnauthorized, verifyIdentity, servername } = options
  assert.deepEqual(
    { minVersion, rejectUnauthorized, verifyIdentity, servername },
    { minVersion: 'TLSv1.2', rejectUnauthorized: true, verifyIdentity: true, servername: 'localhost' },
  )
  // The name that was dialled is of no interest.
  const named = (name: string): object => ({ subject: { CN: name }, subjectaltname: `DNS:${name}` })
  assert.equal(options.checkServerIdentity('tunnel.example.com', named('localhost')), undefined)
  const error = options.checkServerIdentity('tunnel.example.com', named('tunnel.example.com'))
  assert.equal((error as NodeJS.ErrnoException).code, 'ERR_TLS_CERT_ALTNAME_INVALID')
})

test('gives what can be copied of the options: the authorities as texts, those that are known by then', async () => {
  const trust = createTrust({ ...settings, ca: [authority.ca] })
  const plain = plainTls(trust.tls)
  assert.deepEqual(Object.keys(plain).sort(), [
    'ca',
    'checkServerIdentity',
    'minVersion',
    'rejectUnauthorized',
    'servername',
    'verifyIdentity',
  ])
  assert.deepEqual({ ...plain }, { ...plain, ca: [] })
  await trust.load()
  const { secureContext: _, ...same } = trust.tls
  assert.deepEqual({ ...plain }, { ...same })
  // Whoever has the copy may do with it what they like.
  plain.ca.push(stranger.ca)
  assert.ok(!trust.tls.ca.includes(stranger.ca))
})

test('takes no TLS older than 1.2, also in a process that would', async t => {
  const defaults = { DEFAULT_MIN_VERSION: tls.DEFAULT_MIN_VERSION, DEFAULT_CIPHERS: tls.DEFAULT_CIPHERS }
  t.after(() => Object.assign(tls, defaults))
  Object.assign(tls, { DEFAULT_MIN_VERSION: 'TLSv1', DEFAULT_CIPHERS: 'DEFAULT@SECLEVEL=0' })
  const { secureContext } = await createTrust({ ...settings, ca: [authority.ca] }).load()
  const old = createServer({
    ...(await authority.issue({ names: ['localhost'] })),
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  })
  old.on('tlsClientError', () => {})
  old.listen(0, '127.0.0.1')
  await once(old, 'listening')
  const stream = connect({
    port: (old.address() as AddressInfo).port,
    servername: 'localhost',
    secureContext,
  })
  const error = await once(stream, 'secureConnect').catch(error => error)
  assert.match(String(error), /protocol version|unsupported protocol/)
  old.close()
})

test('tries again after the authorities could not be read', async () => {
  const caFiles = [{ variable: 'PGSSLROOTCERT', path: '/nowhere/ca.pem' }]
  const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }
  const trust = createTrust({ region: 'eu-west-1', endpoint, ca: [], extraCaFile: undefined, caFiles })
  const first = await trust.load().catch(error => error)
  const second = await trust.load().catch(error => error)
  assert.equal(first.code, 'RDS_IAM_TRUST')
  assert.equal(second.code, 'RDS_IAM_TRUST')
  assert.notEqual(first, second)
})
