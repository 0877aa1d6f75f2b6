// The last check of a connection whose TLS options somebody else may have changed.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls'
import { type IssuedCertificate, makeAuthority } from '../../../kit/src/index.ts'
import { requireIdentity } from '../../../src/trust/verified-tls.ts'
import { makeChain, makeSelfSigned } from '../../support/self-signed.ts'

const endpoint = { host: 'localhost', port: 5432 }
const [authority, stranger] = await Promise.all([makeAuthority('trusted'), makeAuthority('stranger')])
const certificate = await authority.issue({ names: ['localhost'] })

type Test = { after(end: () => void): void }

/** Connects to a server with a certificate, as a driver does whose options of TLS are these. */
async function open(
  t: Test,
  issued: IssuedCertificate,
  options: ConnectionOptions,
  whileOpen?: (stream: TLSSocket) => Promise<unknown>,
): Promise<{ stream: TLSSocket; port: number }> {
  const server = createServer({ ...issued, maxVersion: 'TLSv1.2' }, socket => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const dial = async (more: ConnectionOptions = {}) => {
    const stream = connect({ port, servername: 'localhost', ...options, ...more })
    t.after(() => stream.destroy())
    stream.on('error', () => {})
    const session = once(stream, 'session')
    await once(stream, 'secureConnect')
    return { stream, session }
  }
  const { stream, session } = await dial()
  if (whileOpen === undefined) return { stream, port }
  await whileOpen(stream)
  const [resumed] = await session
  return { stream: (await dial({ session: resumed })).stream, port }
}

/** What is thrown, if anything is. */
function check(
  stream: TLSSocket,
  authorities: readonly string[],
  { host = 'localhost', isAsGiven }: { host?: string; isAsGiven?: boolean } = {},
) {
  try {
    requireIdentity(stream, { ...endpoint, host }, authorities, isAsGiven)
    return undefined
  } catch (error) {
    return error as Error & { readonly code: string }
  }
}

test('lets a token go to a server whose certificate has the name and an authority that is trusted', async t => {
  const { stream } = await open(t, certificate, { ca: authority.ca })
  assert.equal(check(stream, [authority.ca]), undefined)
  assert.equal(check(stream, [stranger.ca, authority.ca]), undefined)
  // By the certificate itself, too.
  assert.equal(check(stream, [certificate.cert]), undefined)
})

test('leaves the certificate to whoever looks at it next', async t => {
  const { stream } = await open(t, certificate, { ca: authority.ca })
  const before = stream.getPeerCertificate().fingerprint256
  assert.equal(check(stream, [authority.ca]), undefined)
  assert.equal(check(stream, [authority.ca]), undefined)
  assert.equal(stream.getPeerCertificate().fingerprint256, before)
})

test('keeps a token from a server with another name, although a driver did not mind', async t => {
  const { stream } = await open(t, certificate, { ca: authority.ca, checkServerIdentity: () => undefined })
  const error = check(stream, [authority.ca], { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com' })
  assert.equal(error?.code, 'RDS_IAM_TRUST')
  assert.match(
    error?.message ?? '',
    /^The server's certificate is not for orders\.c1x2\.eu-west-1\.rds\.amazonaws\.com: Hostname\/IP does not match .*; no authentication token was sent\. Pass the options of TLS on as they are\.$/,
  )
  assert.equal((error?.cause as NodeJS.ErrnoException | undefined)?.code, 'ERR_TLS_CERT_ALTNAME_INVALID')
})

test('keeps a token from a server that a driver trusts by an authority of its own', async t => {
  const { stream } = await open(t, certificate, { ca: authority.ca })
  for (const authorities of [[], [stranger.ca]]) {
    const error = check(stream, authorities)
    assert.equal(error?.code, 'RDS_IAM_TRUST')
    assert.match(error?.message ?? '', /certificate for localhost is of an authority that is not among those/)
    assert.equal(error?.cause, undefined)
  }
})

test('keeps a token from TLS that was not verified, whatever the certificate says', async t => {
  const { stream } = await open(t, certificate, { ca: stranger.ca, rejectUnauthorized: false })
  const error = check(stream, [authority.ca])
  assert.equal(error?.code, 'RDS_IAM_TRUST')
  assert.match(error?.message ?? '', /^The connection is not verified TLS to localhost; no authentication/)
})

test('takes a resumed session, which shows no certificate, where the options are as they were given', async t => {
  const talk = (stream: TLSSocket) => new Promise(resolve => stream.write('x', resolve))
  const { stream } = await open(t, certificate, { ca: authority.ca }, talk)
  assert.ok(stream.isSessionReused())
  assert.equal(check(stream, [authority.ca], { isAsGiven: true }), undefined)
  const error = check(stream, [authority.ca])
  assert.equal(error?.code, 'RDS_IAM_TRUST')
  assert.match(error?.message ?? '', /^The driver has other options of TLS than those for localhost; no/)
})

test('looks at a certificate that is there, although the options are as they were given', async t => {
  const { stream } = await open(t, certificate, { ca: authority.ca })
  assert.equal(check(stream, [stranger.ca], { isAsGiven: true })?.code, 'RDS_IAM_TRUST')
})

test('follows the authorities in between, and takes none for another of the same name', async t => {
  const chain = makeChain('localhost')
  const { stream } = await open(t, chain, { ca: chain.root })
  assert.equal(check(stream, [chain.root]), undefined)
  const [, middle = ''] = chain.cert.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []
  assert.equal(check(stream, [middle]), undefined)
  assert.equal(check(stream, [chain.impostor])?.code, 'RDS_IAM_TRUST')
  assert.equal(check(stream, [stranger.ca])?.code, 'RDS_IAM_TRUST')
})

// Since Node.js 22.9.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const skip = major === 22 && minor < 9 && 'this Node.js has no `allowPartialTrustChain`'

test('ends where nobody knows who vouches for the last one, of a driver that does not mind', {
  skip,
}, async t => {
  const chain = makeChain('localhost')
  const [, middle = ''] = chain.cert.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []
  const options = { ca: middle, allowPartialTrustChain: true } as ConnectionOptions
  const { stream } = await open(t, chain, options)
  assert.equal(check(stream, [chain.root]), undefined)
  assert.equal(check(stream, [stranger.ca])?.code, 'RDS_IAM_TRUST')
})

test('ends at a certificate that vouches for itself', async t => {
  const own = makeSelfSigned('localhost')
  const { stream } = await open(t, own, { ca: own.cert })
  assert.equal(check(stream, [own.cert]), undefined)
  assert.equal(check(stream, [authority.ca])?.code, 'RDS_IAM_TRUST')
})
