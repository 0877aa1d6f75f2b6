import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { type TokenVerification, verifyToken } from '../../src/gateway/sigv4.ts'
import { region, standIn } from './support.ts'

const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }
const host = `${endpoint.host}:${endpoint.port}`
const nowMs = Date.parse('2026-11-22T12:00:00Z')
const user = 'o b+/ü'

function verify(text: string, atMs = nowMs): TokenVerification {
  const credentials = new Map([[standIn.accessKeyId, standIn]])
  return verifyToken(text, { user, region, endpoints: [endpoint], credentials, nowMs: atMs })
}

/** What is signed, where it is not what the SDKs sign. */
interface Request {
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly headers?: string
  readonly payload?: string
  readonly algorithm?: string
  readonly date?: string
  readonly region?: string
  readonly service?: string
  readonly terminator?: string
  readonly expires?: string
  readonly parameters?: Readonly<Record<string, string>>
}

/** A right signature of whatever is asked for: only what it says can be wrong with it. */
function sign({
  method = 'GET',
  path = '/',
  host: signedHost = host,
  headers = 'host',
  payload = '',
  algorithm = 'AWS4-HMAC-SHA256',
  date = '20261122T115500Z',
  region: scopeRegion = region,
  service = 'rds-db',
  terminator = 'aws4_request',
  expires = '900',
  parameters = {},
}: Request = {}): string {
  const day = date.slice(0, 8)
  const scope = `${day}/${scopeRegion}/${service}/${terminator}`
  const query = Object.entries({
    Action: 'connect',
    DBUser: user,
    'X-Amz-Algorithm': algorithm,
    'X-Amz-Credential': `${standIn.accessKeyId}/${scope}`,
    'X-Amz-Date': date,
    'X-Amz-Expires': expires,
    'X-Amz-SignedHeaders': headers,
    ...parameters,
  })
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join('&')
  const values = headers
    .split(';')
    .map(name => `${name}:${name.toLowerCase() === 'host' ? signedHost : 'x'}\n`)
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
  const payloadHash = payload === 'UNSIGNED-PAYLOAD' ? payload : sha256(payload)
  const request = [method, path, query, values.join(''), headers, payloadHash].join('\n')
  let key: Buffer = Buffer.from(`AWS4${standIn.secretAccessKey}`)
  const hmac = (text: string): Buffer => createHmac('sha256', key).update(text).digest()
  for (const part of [day, scopeRegion, service, terminator]) key = hmac(part)
  const signature = hmac([algorithm, date, scope, sha256(request)].join('\n')).toString('hex')
  return `${signedHost}/?${query}&X-Amz-Signature=${signature}`
}

const genuine = sign()
const withoutSlash = genuine.replace('/?', '?')

describe('what is only written otherwise is taken', () => {
  /** With its parameters in the order of these beginnings of their names. */
  const inOrder = (names: string) =>
    genuine.replace(/\?.*/, query => {
      const parts = query.slice(1).split('&')
      const ordered = names
        .split(' ')
        .map(name => parts.find(part => part.replace('X-Amz-', '').startsWith(name)))
      assert.deepEqual([...ordered].sort(), parts.sort())
      return `?${ordered.join('&')}`
    })
  const same: Record<string, string> = {
    'as most SDKs write it': genuine,
    'without the slash, as the SDK for Go': withoutSlash,
    // https://github.com/aws/aws-sdk-php/blob/master/src/Rds/AuthTokenGenerator.php
    'in the order of the SDK for PHP': inOrder('Act DB Alg Cred Date SignedH Exp Signature'),
    // https://github.com/aws/aws-sdk-ruby/blob/version-3/gems/aws-sdk-rds/lib/aws-sdk-rds/customizations/auth_token_generator.rb
    'in the order of the SDK for Ruby': inOrder('Act DB Alg Cred Date Exp SignedH Signature'),
    // https://github.com/aws/aws-sdk-net/blob/main/sdk/src/Services/RDS/Custom/Util/RDSAuthTokenGenerator.cs
    'in the order of the SDK for .NET': inOrder('Act DB Exp Alg Cred Date SignedH Signature'),
    'from behind': inOrder('Signature SignedH Exp Date Cred Alg DB Act'),
    // The SDK for Rust does not encode what a URL may have as it is.
    'with a slash in the name as it is': genuine.replace('%2F%C3', '/%C3'),
  }
  for (const [what, text] of Object.entries(same)) {
    it(what, () => assert.equal(verify(text).reason, undefined, verify(text).detail))
  }

  it('to the last millisecond of its time, and not in the next one', () => {
    const signedAtMs = Date.parse('2026-11-22T11:55:00Z')
    const reasonAt = (ms: number) => verify(genuine, signedAtMs + ms).reason
    assert.deepEqual([reasonAt(900_000), reasonAt(900_001)], [undefined, 'ExpiredToken'])
    assert.deepEqual([reasonAt(-300_000), reasonAt(-300_001)], [undefined, 'InvalidToken'])
    assert.match(verify(genuine, signedAtMs + 902_000).detail, /expired 2 s ago/)
    assert.match(verify(genuine, signedAtMs - 302_000).detail, /dated 302 s in the future/)
  })

  it('for as long as the credentials that signed it live', () => {
    const credentials = new Map([[standIn.accessKeyId, { ...standIn, expiration: new Date(nowMs) }]])
    const at = (atMs: number) =>
      verifyToken(genuine, { user, region, endpoints: [endpoint], credentials, nowMs: atMs })
    assert.equal(at(nowMs).reason, undefined)
    assert.equal(at(nowMs + 1).reason, 'ExpiredToken')
    assert.match(at(nowMs + 3_000).detail, /the credentials that signed the token expired 3 s ago/)
  })

  it('for any of several endpoints', () => {
    const expected = { user, region, credentials: new Map([[standIn.accessKeyId, standIn]]), nowMs }
    const endpoints = [{ host: 'localhost', port: 5432 }, endpoint]
    assert.equal(verifyToken(genuine, { ...expected, endpoints }).reason, undefined)
    const { detail } = verifyToken(sign({ host: 'other:1' }), { ...expected, endpoints })
    assert.equal(
      detail,
      'the token is signed for "other:1"; accepted here: localhost:5432, orders.c1x2.eu-west-1.rds.amazonaws.com:5432',
    )
  })

  it('with the session token of its key, and no other', () => {
    const withSession = sign({ parameters: { 'X-Amz-Security-Token': 'session' } })
    const verifyFor = (text: string, sessionToken: string) => {
      const credentials = new Map([[standIn.accessKeyId, { ...standIn, sessionToken }]])
      return verifyToken(text, { user, region, endpoints: [endpoint], credentials, nowMs })
    }
    assert.equal(verifyFor(withSession, 'session').reason, undefined)
    assert.match(verifyFor(withSession, 'other').detail, /another session token than its access key has/)
    assert.match(verifyFor(genuine, 'session').detail, /lacks the session token that its access key/)
    assert.match(verify(withSession).detail, /carries a session token, its access key has none/)
  })

  it('and tells it from others by twelve digits, and when it was signed', () => {
    const { tokenId, tokenSignedAt } = verify(genuine)
    assert.equal(tokenId, createHash('sha256').update(genuine).digest('hex').slice(0, 12))
    assert.deepEqual(tokenSignedAt, new Date('2026-11-22T11:55:00Z'))
    // What is refused has both too, unless it has no date.
    const other = verify(sign({ region: 'eu-west-2' }))
    assert.match(String(other.tokenId), /^[0-9a-f]{12}$/)
    assert.deepEqual(other.tokenSignedAt, tokenSignedAt)
    assert.ok(!('tokenSignedAt' in verify(sign({ date: '' }))))
  })

  it('for less than 15 minutes, as the SDKs for Rust and PHP can make it, and then no more', () => {
    const brief = sign({ date: '20261122T115930Z', expires: '60' })
    assert.equal(verify(brief).reason, undefined)
    assert.equal(verify(brief, nowMs + 31_000).reason, 'ExpiredToken')
  })
})

describe('what is signed, but is no token of RDS, is refused', () => {
  const foreign: Record<string, [Request, RegExp]> = {
    'for another service': [{ service: 'rds' }, /service "rds"/],
    'for the service in upper case': [{ service: 'RDS-DB' }, /service "RDS-DB"/],
    'for Aurora DSQL': [{ service: 'dsql', parameters: { Action: 'DbConnect' } }, /Action/],
    'for another Region': [{ region: 'eu-west-2' }, /Region "eu-west-2"/],
    'for no Region': [{ region: '' }, /Region ""/],
    'with another terminator': [{ terminator: 'aws5_request' }, /credential scope/],
    'with a longer scope': [{ terminator: 'aws4_request/x' }, /credential scope/],
    'with another algorithm': [{ algorithm: 'AWS4-ECDSA-P256-SHA256' }, /algorithm/],
    'with the algorithm in lower case': [{ algorithm: 'aws4-hmac-sha256' }, /algorithm/],
    'for another action': [{ parameters: { Action: 'Connect' } }, /Action/],
    'for another user': [{ parameters: { DBUser: 'postgres' } }, /user "postgres"/],
    'for no user': [{ parameters: { DBUser: '' } }, /user ""/],
    'for the user with a NUL behind': [{ parameters: { DBUser: `${user}\0` } }, /user "o b/],
    'for the user with a line break behind': [{ parameters: { DBUser: `${user}\n` } }, /user "o b/],
    'with another header': [{ headers: 'host;x-forwarded-for' }, /signed headers/],
    'with the header twice': [{ headers: 'host;host' }, /signed headers/],
    'with the header in upper case': [{ headers: 'Host' }, /signed headers/],
    'without a header': [{ headers: '' }, /signed headers/],
    'with a parameter more': [{ parameters: { Version: '2014-10-31' } }, /parameter that/],
    'with the hash of its payload': [
      { parameters: { 'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD' } },
      /parameter that/,
    ],
    'with an empty session token': [
      { parameters: { 'X-Amz-Security-Token': '' } },
      /carries a session token/,
    ],
    'as a POST': [{ method: 'POST' }, /signature does not match/],
    'as a HEAD': [{ method: 'HEAD' }, /signature does not match/],
    'for another path': [{ path: '/connect' }, /signature does not match/],
    'for no path': [{ path: '' }, /signature does not match/],
    'with a payload': [{ payload: 'x' }, /signature does not match/],
    'without its payload': [{ payload: 'UNSIGNED-PAYLOAD' }, /signature does not match/],
    'for another host': [{ host: 'other.c1x2.eu-west-1.rds.amazonaws.com:5432' }, /signed for "other/],
    'for the host in upper case': [{ host: host.toUpperCase() }, /lower case/],
    'for the host with a dot behind': [{ host: host.replace(':', '.:') }, /signed for/],
    'for the host and more': [{ host: `${host}.example.com` }, /signed for/],
    'for a host below it': [{ host: `x.${host}` }, /signed for/],
    'for no port': [{ host: endpoint.host }, /signed for/],
    'for another port': [{ host: `${endpoint.host}:3306` }, /signed for/],
    'for the port with a zero before': [{ host: `${endpoint.host}:05432` }, /signed for/],
    'with a name and a password before the host': [{ host: `app:secret@${host}` }, /signed for/],
    ...Object.fromEntries(
      [
        '901',
        '86400',
        '604800',
        '0',
        '-1',
        '-900',
        '0900',
        '900.0',
        '9e2',
        '+900',
        ' 900',
        '900 ',
        '٩٠٠',
        '',
      ].map(expires => [`for ${JSON.stringify(expires)} seconds`, [{ expires }, /X-Amz-Expires/]] as const),
    ),
    ...Object.fromEntries(
      [
        '20261122T115500',
        '20261122t115500z',
        '20261122T115500Z ',
        '2026-11-22T11:55:00Z',
        '20261122T256000Z',
        '',
      ].map(date => [`dated ${JSON.stringify(date)}`, [{ date }, /X-Amz-Date/]] as const),
    ),
    'with another day in its scope': [
      { parameters: { 'X-Amz-Credential': `${standIn.accessKeyId}/20261121/${region}/rds-db/aws4_request` } },
      /the date of the credential scope is not the date of X-Amz-Date/,
    ],
    'dated six minutes ahead': [{ date: '20261122T120600Z' }, /in the future/],
    'dated a day ahead': [{ date: '20261123T115500Z' }, /in the future/],
  }
  for (const [what, [request, detail]] of Object.entries(foreign)) {
    it(what, () => assertRefused(sign(request), detail))
  }

  it('dated too long ago', () => {
    for (const date of ['20261122T114459Z', '20261121T115500Z', '20161122T115500Z'])
      assert.equal(verify(sign({ date })).reason, 'ExpiredToken', date)
  })
})

describe('what was changed afterwards is refused', () => {
  const forged: Record<string, [(token: string) => string, RegExp]> = {
    'a scheme before it': [token => `https://${token}`, /scheme/],
    'a scheme in upper case': [token => `HTTPS://${token}`, /scheme/],
    'a scheme of another kind': [token => `rds-db://${token}`, /scheme/],
    'two slashes before it': [token => `//${token}`, /no "host:port/],
    'a name before the host': [token => `app@${token}`, /signed for/],
    'another host before a fragment': [token => `other:1#${token}`, /signed for/],
    'a blank before it': [token => ` ${token}`, /signed for/],
    'a path': [token => token.replace(/\/?\?/, '/connect?'), /no "host:port/],
    'a second slash': [token => token.replace(/\/?\?/, '//?'), /no "host:port/],
    'a dot as its path': [token => token.replace(/\/?\?/, '/.?'), /no "host:port/],
    'a second question mark': [token => token.replace('?', '??'), /parameter that/],
    'no question mark': [token => token.replace(/\/?\?/, '/'), /no "host:port/],
    'a semicolon for an ampersand': [token => token.replace('&', ';'), /lacks DBUser/],
    'a fragment behind it': [token => `${token}#x`, /signature does not match/],
    'a blank behind it': [token => `${token} `, /signature does not match/],
    'a line break behind it': [token => `${token}\n`, /signature does not match/],
    'a NUL behind it': [token => `${token}\0`, /signature does not match/],
    'an ampersand behind it': [token => `${token}&`, /parameter that/],
    'itself behind it': [token => `${token}&${token.replace(/^.*\?/, '')}`, /twice/],
    'a parameter twice': [token => `${token}&DBUser=postgres`, /DBUser twice/],
    'a parameter twice, first': [token => token.replace('?', '?DBUser=postgres&'), /DBUser twice/],
    'a parameter twice, its name encoded': [token => `${token}&%44BUser=postgres`, /parameter that/],
    'a parameter twice, its name in lower case': [token => `${token}&dbuser=postgres`, /parameter that/],
    'an encoded name': [token => token.replace('DBUser', 'DB%55ser'), /parameter that/],
    'a name in lower case': [token => token.replace('X-Amz-Date', 'x-amz-date'), /parameter that/],
    'a plus for a blank': [token => token.replace('o%20b', 'o+b'), /"\+" in DBUser/],
    'a plus as it is': [token => token.replace('%2B', '+'), /"\+" in DBUser/],
    'half of a letter': [token => token.replace('%C3%BC', '%C3'), /percent-encoded/],
    'a letter encoded twice': [token => token.replace('%20', '%2520'), /user "o%20b/],
    'its signature in upper case': [
      token => token.replace(/[^=]+$/, hex => hex.toUpperCase()),
      /does not match/,
    ],
    'no signature': [token => token.replace(/Signature=.*/, 'Signature='), /does not match/],
    'a longer life': [token => token.replace('=900', '=899'), /does not match/],
    'another date': [token => token.replace('T115500Z', 'T115600Z'), /does not match/],
    'another key': [token => token.replace('defaultkey', 'otherkey'), /not known/],
    'an added session token': [token => `${token}&X-Amz-Security-Token=x`, /carries a session token/],
    ...Object.fromEntries(
      genuine
        .replace(/^.*\?/, '')
        .split('&')
        .map(part => {
          const name = part.replace(/=.*/, '')
          return [`no ${name}`, [(token: string) => token.replace(part, ''), /parameter that|lacks/]] as const
        }),
    ),
  }
  for (const [what, [forge, detail]] of Object.entries(forged)) {
    it(what, () => {
      for (const token of [genuine, withoutSlash]) {
        const text = forge(token)
        assert.notEqual(text, token)
        assertRefused(text, detail)
      }
    })
  }
})

function assertRefused(text: string, detail: RegExp): void {
  const verification = verify(text)
  assert.equal(verification.reason, 'InvalidToken')
  assert.match(verification.detail, detail)
}
