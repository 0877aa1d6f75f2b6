import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { after, describe, it } from 'node:test'
import { SignatureV4 } from '@smithy/signature-v4'
import { verifyToken } from '../../src/gateway/sigv4.ts'
import type { Gateway, RefusalReason } from '../../src/index.ts'
import { makeClient, openGateway, openPostgres, region, signToken, standIn, tryConnect } from './support.ts'

const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }
const sessionPair = {
  accessKeyId: 'ASIASESSION',
  secretAccessKey: 'session-secret',
  sessionToken: 'Fwo+/=Xz',
}
const expiring = {
  accessKeyId: 'ASIAEXPIRING',
  secretAccessKey: 'expiring-secret',
  expiration: new Date(Date.now() + 60_000),
}

let clockOffsetMs = 0

const postgres = await openPostgres({ after })
const fixture = await openGateway({ after }, postgres, {
  endpoints: [{ host: 'Orders.c1x2.eu-west-1.RDS.amazonaws.com', port: 5432 }],
  credentials: [standIn, sessionPair, expiring],
  now: () => Date.now() + clockOffsetMs,
})

async function connectWith(token: string, clock = 0, user = 'app') {
  clockOffsetMs = clock
  const error = await tryConnect(makeClient(fixture.gateway, token, { user }))
  clockOffsetMs = 0
  const decision = fixture.decisions.at(-1)
  assert.ok(decision)
  return { error, decision }
}

describe('a token is admitted', () => {
  const good: Record<string, (gateway: Gateway) => Promise<string>> = {
    'signed for localhost and the port of the gateway': gateway => signToken(gateway),
    'signed for host.docker.internal': gateway => signToken(gateway, { hostname: 'host.docker.internal' }),
    'signed for a given endpoint': gateway =>
      signToken(gateway, { hostname: endpoint.host, port: endpoint.port }),
    'with the session token of its key': gateway => signToken(gateway, { credentials: sessionPair }),
    'with its parameters in another order': async gateway => reverseParameters(await signToken(gateway)),
  }
  for (const [what, sign] of Object.entries(good)) {
    it(what, async () => {
      const { error, decision } = await connectWith(await sign(fixture.gateway))
      assert.equal(error, undefined)
      assert.equal(decision.verdict, 'admitted')
      assert.equal(decision.reason, undefined)
      assert.equal(decision.user, 'app')
      assert.equal(decision.database, 'orders')
      assert.equal(decision.tls?.version, 'TLSv1.3')
      assert.match(decision.tokenId ?? '', /^[0-9a-f]{12}$/)
      assert.ok(Math.abs(Date.now() - (decision.tokenSignedAt?.getTime() ?? 0)) < 60_000)
    })
  }

  it('in its last second, and from a clock that is five minutes ahead', async () => {
    const token = await signToken(fixture.gateway)
    assert.equal((await connectWith(token, 899_000)).error, undefined)
    assert.equal((await connectWith(token, -299_000)).error, undefined)
  })
})

describe('a token is refused, and the true reason is in the decision log alone', () => {
  const defects: [
    string,
    (gateway: Gateway) => Promise<string>,
    RefusalReason,
    RegExp,
    { clock?: number; user?: string }?,
  ][] = [
    [
      'with a changed signature',
      async g => changeSignature(await signToken(g)),
      'InvalidToken',
      /signature does not match/,
    ],
    [
      'with a shortened signature',
      async g => (await signToken(g)).replace(/(Signature=[0-9a-f]{60})[0-9a-f]{4}/, '$1'),
      'InvalidToken',
      /signature does not match/,
    ],
    [
      'signed with another secret key',
      g => signToken(g, { credentials: { ...standIn, secretAccessKey: 'guessed' } }),
      'InvalidToken',
      /signature does not match/,
    ],
    [
      'with a user that was put in afterwards',
      async g => (await signToken(g)).replace('DBUser=app', 'DBUser=App'),
      'InvalidToken',
      /signature does not match/,
      { user: 'App' },
    ],
    [
      'with a date that was put in afterwards',
      async g =>
        (await signToken(g)).replace(
          /(Date=\d{8}T\d{4})(\d\d)/,
          (_, head, s) => `${head}${s === '00' ? '01' : '00'}`,
        ),
      'InvalidToken',
      /signature does not match/,
    ],
    [
      'signed for another host',
      g => signToken(g, { hostname: 'other.c1x2.eu-west-1.rds.amazonaws.com' }),
      'InvalidToken',
      /signed for "other\.c1x2/,
    ],
    [
      'signed for a host in upper case',
      g => signToken(g, { hostname: 'LOCALHOST' }),
      'InvalidToken',
      /lower case/,
    ],
    [
      'signed for an IP address',
      g => signToken(g, { hostname: '127.0.0.1' }),
      'InvalidToken',
      /signed for "127\.0\.0\.1/,
    ],
    [
      'signed for another port',
      g => signToken(g, { port: g.port === 65_535 ? 1 : g.port + 1 }),
      'InvalidToken',
      /signed for "localhost:/,
    ],
    [
      'signed for the port of another endpoint',
      g => signToken(g, { port: 5432 }),
      'InvalidToken',
      /signed for "localhost:5432"/,
    ],
    [
      'signed for no port',
      g => signToken(g, { port: undefined as never }),
      'InvalidToken',
      /signed for "localhost/,
    ],
    [
      'signed for another Region',
      g => signToken(g, { region: 'us-east-1' }),
      'InvalidToken',
      /Region "us-east-1"/,
    ],
    [
      'signed for another user',
      g => signToken(g, { username: 'postgres' }),
      'InvalidToken',
      /user "postgres"/,
    ],
    [
      'signed for the user in another case',
      g => signToken(g, { username: 'App' }),
      'InvalidToken',
      /user "App"/,
    ],
    ['signed for another service', g => presign(g, { service: 'rds' }), 'InvalidToken', /service "rds"/],
    [
      'for another action',
      g => presign(g, { query: { Action: 'describe', DBUser: 'app' } }),
      'InvalidToken',
      /Action/,
    ],
    [
      'with another signed header',
      g => presign(g, { headers: { 'x-forwarded-for': '1' } }),
      'InvalidToken',
      /signed headers/,
    ],
    [
      'with a longer life than 15 minutes',
      g => presign(g, { expiresIn: 901 }),
      'InvalidToken',
      /X-Amz-Expires/,
    ],
    ['that expired', g => signToken(g), 'ExpiredToken', /expired \d+ s ago/, { clock: 902_000 }],
    [
      'whose credentials expired',
      g => signToken(g, { credentials: expiring }),
      'ExpiredToken',
      /credentials .* expired/,
      { clock: 61_000 },
    ],
    ['dated in the future', g => signToken(g), 'InvalidToken', /in the future/, { clock: -302_000 }],
    [
      'signed by an unknown key',
      g => signToken(g, { credentials: { ...standIn, accessKeyId: 'AKIAOTHER' } }),
      'InvalidToken',
      /access key "AKIAOTHER" is not known/,
    ],
    [
      'without the session token',
      g => signToken(g, { credentials: { ...sessionPair, sessionToken: undefined as never } }),
      'InvalidToken',
      /lacks the session token/,
    ],
    [
      'with another session token',
      g => signToken(g, { credentials: { ...sessionPair, sessionToken: 'other' } }),
      'InvalidToken',
      /another session token/,
    ],
    [
      'with a session token that its key does not have',
      g => signToken(g, { credentials: { ...standIn, sessionToken: 'extra' } }),
      'InvalidToken',
      /carries a session token/,
    ],
    ['with a parameter twice', async g => `${await signToken(g)}&DBUser=app`, 'InvalidToken', /DBUser twice/],
    [
      'with an unknown parameter',
      async g => `${await signToken(g)}&X-Amz-Other=1`,
      'InvalidToken',
      /parameter that/,
    ],
    [
      'with a parameter less',
      async g => (await signToken(g)).replace(/&X-Amz-Date=[^&]+/, ''),
      'InvalidToken',
      /lacks X-Amz-Date/,
    ],
    [
      'with broken encoding',
      async g => (await signToken(g)).replace('DBUser=app', 'DBUser=%E0%A4'),
      'InvalidToken',
      /percent-encoded/,
    ],
    [
      'with an impossible date',
      async g => (await signToken(g)).replace(/Date=\d{8}/, 'Date=20260231'),
      'InvalidToken',
      /X-Amz-Date is not a date/,
    ],
    [
      'with another day in its scope',
      async g => (await signToken(g)).replace(/(Credential=defaultkey%2F)\d{8}/, '$120200101'),
      'InvalidToken',
      /scope is not the date/,
    ],
    ['with its scheme', async g => `https://${await signToken(g)}`, 'InvalidToken', /scheme of a URL/],
    ['a password', async () => 'correct horse battery staple', 'InvalidToken', /not an authentication token/],
    ['an empty password', async () => ' ', 'InvalidToken', /not an authentication token/],
  ]

  for (const [what, sign, reason, detail, { clock = 0, user = 'app' } = {}] of defects) {
    it(what, async () => {
      const token = await sign(fixture.gateway)
      const { error, decision } = await connectWith(token, clock, user)
      assert.equal(error?.code, '28000')
      assert.equal(error?.message, `PAM authentication failed for user "${user}"`)
      assert.equal(error?.severity, 'FATAL')
      assert.equal(decision.verdict, 'refused')
      assert.equal(decision.reason, reason)
      assert.match(decision.detail, detail)
      assertNoSecret(JSON.stringify(decision), token)
      assertNoSecret(`${error?.message}${JSON.stringify(error)}`, token)
    })
  }
})

it('counts distinct tokens, and takes no password for one', async () => {
  const earlier = fixture.gateway.stats()
  const token = await signToken(fixture.gateway, {
    hostname: 'host.docker.internal',
    credentials: sessionPair,
  })
  await connectWith(token)
  await connectWith(token)
  const { decision } = await connectWith('a password')
  assert.equal(decision.tokenId, undefined)
  const stats = fixture.gateway.stats()
  assert.equal(stats.connections - earlier.connections, 3)
  assert.equal(stats.admitted - earlier.admitted, 2)
  assert.equal(stats.refused - earlier.refused, 1)
  assert.equal(stats.tokens - earlier.tokens, 1)
})

it("verifies what AWS's signer makes of any user name and session token", async () => {
  for (const user of ['app', 'a b', "o'hara!(*)", 'ünï/cødé', 'a+b=c&d', '%41', '~._-', '日本']) {
    for (const sessionToken of [undefined, 'IQoJb3JpZ2luX2VjE+//8=', `${'Ab+/'.repeat(700)}==`]) {
      const credentials = { ...standIn, ...(sessionToken === undefined ? {} : { sessionToken }) }
      const token = await signToken(endpoint, { hostname: endpoint.host, username: user, credentials })
      const expected = { user, region, endpoints: [endpoint], nowMs: Date.now() }
      const known = new Map([[standIn.accessKeyId, credentials]])
      assert.equal(
        verifyToken(token, { ...expected, credentials: known }).reason,
        undefined,
        `${user} ${sessionToken}`,
      )
    }
  }
})

it('does not take one token character changed anywhere', async () => {
  const token = await signToken(endpoint, { hostname: endpoint.host })
  const expected = {
    user: 'app',
    region,
    endpoints: [endpoint],
    nowMs: Date.now(),
    credentials: new Map([[standIn.accessKeyId, standIn]]),
  }
  assert.equal(verifyToken(token, expected).reason, undefined)
  for (let index = 0; index < token.length; index += 1) {
    const other = token[index] === '1' ? '2' : '1'
    const changed = token.slice(0, index) + other + token.slice(index + 1)
    assert.ok(verifyToken(changed, expected).reason, changed)
  }
})

function assertNoSecret(text: string, token: string): void {
  const signature = /Signature=([0-9a-f]+)/.exec(token)?.[1]
  for (const secret of ['defaultsecret', 'session-secret', sessionPair.sessionToken, 'horse', signature]) {
    if (secret !== undefined) assert.ok(!text.includes(secret), text)
  }
}

function changeSignature(token: string): string {
  return token.replace(/Signature=(.)/, (_, digit) => `Signature=${digit === '0' ? '1' : '0'}`)
}

function reverseParameters(token: string): string {
  const [host, query = ''] = token.split('/?')
  return `${host}/?${query.split('&').reverse().join('&')}`
}

/** What the signer never signs, by the library under it. */
async function presign(
  gateway: Gateway,
  {
    service = 'rds-db',
    query = { Action: 'connect', DBUser: 'app' },
    headers = {},
    expiresIn = 900,
  }: {
    service?: string
    query?: Record<string, string>
    headers?: Record<string, string>
    expiresIn?: number
  },
): Promise<string> {
  const host = `localhost:${gateway.port}`
  const signer = new SignatureV4({ service, region, credentials: standIn, sha256: Sha256 as never })
  const request = {
    method: 'GET',
    protocol: 'https:',
    hostname: 'localhost',
    path: '/',
    query,
    headers: { host, ...headers },
  }
  const signed = await signer.presign(request, { expiresIn })
  const parameters = Object.entries(signed.query ?? {}).map(
    ([name, value]) => `${name}=${encodeURIComponent(String(value))}`,
  )
  return `${host}/?${parameters.join('&')}`
}

class Sha256 {
  readonly #hash
  constructor(secret?: string | Uint8Array) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret)
  }
  update(data: string | Uint8Array): void {
    this.#hash.update(data)
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
}
