import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import * as tls from 'node:tls'
import { type IssuedCertificate, makeAuthority } from '../../src/gateway/certificate.ts'
import { startGateway } from '../../src/index.ts'
import { openNegotiatedTls, openTls, region } from './support.ts'

const authority = await makeAuthority()

async function serve(t: TestContext, { cert, key }: IssuedCertificate): Promise<number> {
  const server = tls.createServer({ cert, key }).listen(0, '127.0.0.1')
  server.on('tlsClientError', () => {})
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as { port: number }).port
}

it('names what it was issued for, and is signed by its authority', async () => {
  const { cert, key } = await authority.issue({
    names: ['localhost', 'orders.example', '127.0.0.1', '::1', 'localhost'],
  })
  const leaf = new X509Certificate(cert)
  const root = new X509Certificate(authority.ca)
  assert.equal(
    leaf.subjectAltName,
    'DNS:localhost, DNS:orders.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
  )
  assert.ok(leaf.checkIssued(root) && leaf.verify(root.publicKey) && !leaf.ca)
  assert.ok(root.ca && root.verify(root.publicKey))
  assert.ok(cert.includes(authority.ca.trim()), 'the chain has the root, as that of RDS has')
  assert.match(key, /BEGIN RSA PRIVATE KEY/)
  assert.notEqual(leaf.serialNumber, root.serialNumber)
})

describe('a strict verifier', () => {
  it('accepts it', async t => {
    const port = await serve(t, await authority.issue({ names: ['localhost', '127.0.0.1'] }))
    // X509_V_FLAG_X509_STRICT is what Python 3.13 sets, too.
    const strict = await openTls(t, { port, ca: authority.ca })
    assert.equal(strict.socket.authorized, true)
    const byAddress = await openTls(t, { port, host: '127.0.0.1', servername: '', ca: authority.ca })
    assert.equal(byAddress.socket.authorized, true)
  })

  it('refuses another authority, another host, and times before and after its own', async t => {
    const other = await makeAuthority()
    const names = ['localhost']
    const port = await serve(t, await authority.issue({ names }))
    await assert.rejects(openTls(t, { port, ca: other.ca }), { code: 'SELF_SIGNED_CERT_IN_CHAIN' })
    const wrongHost = await serve(t, await authority.issue({ names: ['elsewhere'] }))
    await assert.rejects(openTls(t, { port: wrongHost, ca: authority.ca }), {
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
    const notAfter = new Date(Date.now() - 1000)
    const expired = await serve(t, await authority.issue({ names, notAfter }))
    await assert.rejects(openTls(t, { port: expired, ca: authority.ca }), { code: 'CERT_HAS_EXPIRED' })
    const notBefore = new Date(Date.now() + 60_000)
    const early = await serve(t, await authority.issue({ names, notBefore }))
    await assert.rejects(openTls(t, { port: early, ca: authority.ca }), { code: 'CERT_NOT_YET_VALID' })
  })
})

it('of a gateway is valid for its own names and those of its endpoints, and for no other', async t => {
  const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }
  const gateway = await startGateway({ upstream: { port: 1 }, region, endpoints: [endpoint] })
  t.after(() => gateway.close())
  const { socket } = await openNegotiatedTls(t, gateway)
  const certificate = socket.getPeerCertificate()
  for (const name of ['localhost', 'host.docker.internal', endpoint.host, '127.0.0.1', '::1']) {
    assert.equal(tls.checkServerIdentity(name, certificate), undefined, name)
  }
  for (const name of ['x.localhost', 'other.c1x2.eu-west-1.rds.amazonaws.com', '127.0.0.2']) {
    assert.ok(tls.checkServerIdentity(name, certificate), name)
  }
  const another = await startGateway({ upstream: { port: 1 }, region })
  t.after(() => another.close())
  assert.notEqual(another.ca, gateway.ca)
})
