import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Signer } from '@aws-sdk/rds-signer'
import fc from 'fast-check'
import { type TokenExpectation, verifyToken } from '../../kit/src/gateway/sigv4.ts'
import { parseAmzDate, parseToken } from '../../kit/src/gateway/token-text.ts'
import type { AwsCredentials } from '../../src/token/credentials.ts'
import { signWithEnvironment } from '../../src/token/environment-signer.ts'
import type { SignerRequest } from '../../src/token/signer-request.ts'
import { readToken } from '../../src/token/token.ts'
import { assertProperty } from '../support/properties.ts'
import { unicode } from './garbage.ts'

const reserved = '!*\'();:@&=+$,/?%#[] "<>\\^`{|}~-._'
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...reserved), minLength: 1, maxLength: 12 }),
  unicode({ minLength: 1, maxLength: 12 }),
  fc.stringMatching(/^[A-Za-z0-9_]{1,20}$/),
)
const requests: fc.Arbitrary<SignerRequest> = fc.record({
  host: fc.oneof(
    fc.domain().map(name => name.toLowerCase()),
    fc.constant('orders.c1x2.eu-west-1.rds.amazonaws.com'),
  ),
  port: fc.integer({ min: 1, max: 65_535 }),
  region: fc.stringMatching(/^[a-z]{2}-[a-z]{4,9}-[1-9]$/),
  user: text,
})
const credentials = fc
  .record({
    // https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html: 16 to 128 characters of \w
    accessKeyId: fc.stringMatching(/^\w{16,32}$/),
    secretAccessKey: text,
    sessionToken: fc.option(fc.oneof(text, fc.base64String({ minLength: 100, maxLength: 2_000 })), {
      nil: undefined,
    }),
  })
  .map(({ sessionToken, ...pair }) => ({ ...pair, ...(sessionToken === undefined ? {} : { sessionToken }) }))
const dates = fc.date({
  min: new Date('2020-01-01T00:00:00Z'),
  max: new Date('2099-12-31T23:59:59.999Z'),
  noInvalidDate: true,
})

const expectation = (request: SignerRequest, pair: AwsCredentials, nowMs: number): TokenExpectation => ({
  user: request.user,
  region: request.region,
  endpoints: [{ host: request.host, port: request.port }],
  credentials: new Map([[pair.accessKeyId, pair]]),
  nowMs,
})

/** The address and the parameters as they are sent, in an order that does not depend on the signer. */
function takeApart(token: string): readonly string[] {
  const [address = '', query = ''] = token.split('/?')
  return [address, ...query.split('&').sort()]
}

test('the own signature is that of @aws-sdk/rds-signer, and the gateway and the reader take both', async t => {
  t.mock.timers.enable({ apis: ['Date'] })
  await assertProperty(
    fc.asyncProperty(requests, credentials, dates, async (request, pair, date) => {
      t.mock.timers.setTime(date.getTime())
      const { host: hostname, port, region, user: username } = request
      const theirs = await new Signer({ hostname, port, region, username, credentials: pair }).getAuthToken()
      const own = signWithEnvironment(request, pair)
      assert.deepEqual(takeApart(own), takeApart(theirs))
      const signedAtMs = Math.floor(date.getTime() / 1_000) * 1_000
      for (const token of [own, theirs]) {
        const expected = expectation(request, pair, date.getTime())
        assert.equal(verifyToken(token, expected).reason, undefined, verifyToken(token, expected).detail)
        assert.deepEqual(readToken(request, token), {
          value: token,
          signedAtMs,
          expiresAtMs: signedAtMs + 900_000,
        })
        // It lives for 15 minutes to the second, in the gateway as for the reader.
        const at = (ms: number) => verifyToken(token, { ...expected, nowMs: signedAtMs + ms }).reason
        assert.deepEqual(
          [at(900_000), at(900_001), at(-300_000), at(-300_001)],
          [undefined, 'ExpiredToken', undefined, 'InvalidToken'],
        )
      }
    }),
  )
})

test('credentials that end take their tokens with them', () => {
  assertProperty(
    fc.property(requests, credentials, fc.integer({ min: -1_000, max: 1_000 }), (request, pair, seconds) => {
      const token = signWithEnvironment(request, pair)
      const own = readToken(request, token)
      assert.ok(own)
      const endsAtMs = own.signedAtMs + seconds * 1_000
      const read = readToken(request, token, endsAtMs)
      assert.equal(read?.expiresAtMs, Math.min(endsAtMs, own.signedAtMs + 900_000))
      const at = (nowMs: number) =>
        verifyToken(token, expectation(request, { ...pair, expiration: new Date(endsAtMs) }, nowMs)).reason
      if (seconds >= 0) assert.equal(at(read.expiresAtMs), undefined)
      if (seconds >= -300) assert.equal(at(read.expiresAtMs + 1), 'ExpiredToken')
    }),
  )
})

/** Another text by one character: another one in its place, one less, or one more. */
const changes = fc.record({
  at: fc.nat(),
  how: fc.constantFrom('replace', 'remove', 'insert'),
  character: fc.oneof(
    fc.constantFrom(...'0123456789abcdefABCDEF&=%/?+ \0\n'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
})
type Change = typeof changes extends fc.Arbitrary<infer T> ? T : never

function change(text: string, { at, how, character }: Change): string {
  const index = at % (how === 'insert' ? text.length + 1 : text.length)
  const behind = text.slice(index + (how === 'insert' ? 0 : 1))
  return text.slice(0, index) + (how === 'remove' ? '' : character) + behind
}

/**
 * What is the same token, in one form: the digits of a percent-encoding mean the same in either case (RFC 3986,
 * 2.1), and the SDK for Go leaves out the slash before the parameters.
 */
const inOneForm = (token: string) =>
  token.replace(/%[0-9a-f]{2}/gi, code => code.toUpperCase()).replace('/?', '?')

test('the gateway refuses a token that differs by any one character', () => {
  assertProperty(
    fc.property(requests, credentials, changes, (request, pair, how) => {
      const token = signWithEnvironment(request, pair)
      const changed = change(token, how)
      fc.pre(inOneForm(changed) !== inOneForm(token))
      assert.equal(verifyToken(changed, expectation(request, pair, Date.now())).reason, 'InvalidToken')
      assert.notEqual(readToken(request, changed)?.value, token)
    }),
    { numRuns: 2_000 },
  )
})

/**
 * The key that a secret signs with. HMAC fills a key up with zeros, so that one with a NUL behind it is the same key: RFC 2104, 2.
 */
const keyOf = ({ secretAccessKey }: AwsCredentials) =>
  Buffer.from(`AWS4${secretAccessKey}`)
    .toString('hex')
    .replace(/(00)+$/, '')

test('the gateway refuses a token for a user, host, port, Region, key or session that differs by one character', () => {
  assertProperty(
    fc.property(requests, credentials, changes, fc.nat({ max: 6 }), (request, pair, how, which) => {
      const token = signWithEnvironment(request, pair)
      const { accessKeyId, secretAccessKey, sessionToken } = pair
      const otherPort = Number(change(String(request.port), { ...how, character: String(how.at % 10) }))
      const [other, otherPair] = [
        [{ ...request, user: change(request.user, how) }, pair],
        [{ ...request, host: change(request.host, how) }, pair],
        [{ ...request, port: otherPort }, pair],
        [{ ...request, region: change(request.region, how) }, pair],
        [request, { ...pair, accessKeyId: change(accessKeyId, how) }],
        [request, { ...pair, secretAccessKey: change(secretAccessKey, how) }],
        [request, { ...pair, sessionToken: change(sessionToken ?? '', how) }],
      ][which] as [SignerRequest, AwsCredentials]
      fc.pre(JSON.stringify([other, otherPair]) !== JSON.stringify([request, pair]))
      fc.pre(otherPair.secretAccessKey === secretAccessKey || keyOf(otherPair) !== keyOf(pair))
      const verification = verifyToken(token, expectation(other, otherPair, Date.now()))
      assert.equal(verification.reason, 'InvalidToken')
      if (otherPair === pair) assert.equal(readToken(other, token), undefined)
    }),
    { numRuns: 1_000 },
  )
})

test('no text breaks the gateway or the reader, and none is taken for a token', () => {
  const request = { host: 'db', port: 5432, region: 'eu-west-1', user: 'app' }
  const pair = { accessKeyId: 'AKIA', secretAccessKey: 'secret' }
  const name = fc.constantFrom(
    ...['Action', 'DBUser', 'X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Expires'],
    ...['X-Amz-SignedHeaders', 'X-Amz-Signature', 'X-Amz-Security-Token', 'x'],
  )
  const value = fc.oneof(
    fc.constantFrom(
      'connect',
      'app',
      'AWS4-HMAC-SHA256',
      'host',
      '900',
      '%',
      '%E0%A4',
      '1e9',
      'Infinity',
      '-1',
    ),
    fc.constantFrom(
      '20260101T000000Z',
      '20260231T000000Z',
      '99999999T999999Z',
      'AKIA/20260101/eu-west-1/rds-db/aws4_request',
    ),
    unicode(),
    fc.string({ unit: fc.constantFrom('\ud800', '\udc00', '%', 'a') }),
  )
  const almost = fc
    .array(fc.tuple(name, value), { maxLength: 12 })
    .map(pairs => `db:5432/?${pairs.map(pair => pair.join('=')).join('&')}`)
  assertProperty(
    fc.property(fc.oneof(almost, unicode(), fc.webUrl()), text => {
      assert.equal(verifyToken(text, expectation(request, pair, Date.UTC(2026, 0, 1))).reason, 'InvalidToken')
      const read = readToken(request, text)
      if (read === undefined) return
      // It has all that a token has, but a signature that only the server could tell.
      assert.ok(Number.isSafeInteger(read.signedAtMs) && Number.isSafeInteger(read.expiresAtMs))
      assert.ok(read.expiresAtMs > read.signedAtMs)
      const parameters = parseToken(text)
      if (typeof parameters === 'object')
        assert.equal(parseAmzDate(parameters.parameters.get('X-Amz-Date') ?? ''), read.signedAtMs)
    }),
    { numRuns: 2_000 },
  )
})

test('a date is what it says, or none', () => {
  const request = { host: 'db', port: 5432, region: 'eu-west-1', user: 'app' }
  const digits = fc.tuple(
    fc.integer({ min: 0, max: 9_999 }),
    fc.array(fc.integer({ min: 0, max: 99 }), { minLength: 5, maxLength: 5 }),
  )
  const signedAt = (date: string, expires = '900') =>
    readToken(
      request,
      `db:5432/?DBUser=app&X-Amz-Credential=AKIA/1/eu-west-1/rds-db/aws4_request&X-Amz-Date=${date}&X-Amz-Expires=${expires}&X-Amz-Signature=0`,
    )
  const write = (ms: number) => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')
  assertProperty(
    fc.property(digits, ([year, [month, day, hour, minute, second]]) => {
      const two = (value = 0) => String(value).padStart(2, '0')
      const date = `${String(year).padStart(4, '0')}${two(month)}${two(day)}T${two(hour)}${two(minute)}${two(second)}Z`
      for (const ms of [parseAmzDate(date), signedAt(date)?.signedAtMs])
        if (ms !== undefined) assert.equal(write(ms), date)
    }),
    { numRuns: 1_000 },
  )
  assertProperty(
    fc.property(dates, date => {
      const ms = Math.floor(date.getTime() / 1_000) * 1_000
      assert.equal(parseAmzDate(write(ms)), ms)
      assert.equal(signedAt(write(ms))?.signedAtMs, ms)
    }),
  )
  for (const expires of ['0', '-1', '1e3', 'Infinity', '0x10', ' 9', '900.5', ''])
    assert.equal(signedAt('20260101T000000Z', encodeURIComponent(expires)), undefined, expires)
})
