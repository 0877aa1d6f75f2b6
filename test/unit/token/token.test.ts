import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readToken } from '../../../src/token/token.ts'

const request = { host: 'db', port: 5432, region: 'eu-west-1', user: 'app' }

/** A token with other parameters, or without those that are `undefined`. */
function makeToken(changes: Readonly<Record<string, string | undefined>> = {}): string {
  const parameters = {
    Action: 'connect',
    DBUser: 'app',
    'X-Amz-Credential': 'AKIA/20260101/eu-west-1/rds-db/aws4_request',
    'X-Amz-Date': '20260101T120000Z',
    'X-Amz-Expires': '900',
    'X-Amz-Signature': '0123',
    ...changes,
  }
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
  return `db:5432/?${new URLSearchParams(given as [string, string][])}`
}

test('reads when a token was signed, and when it dies', () => {
  const signedAtMs = Date.UTC(2026, 0, 1, 12)
  const value = makeToken()
  assert.deepEqual(readToken(request, value), { value, signedAtMs, expiresAtMs: signedAtMs + 900_000 })
  for (const [lifetime, seconds] of [
    ['1', 1],
    ['604800', 604_800],
  ] as const) {
    const token = readToken(request, makeToken({ 'X-Amz-Expires': lifetime }))
    assert.equal(token?.expiresAtMs, signedAtMs + seconds * 1_000)
  }
})

for (const [title, parameter, values] of [
  [
    'a date that is none',
    'X-Amz-Date',
    [
      '',
      'soon',
      'on20260101T120000Z',
      '20260101T120000Z!',
      '2026-01-01T12:00:00.000Z',
      '20260230T120000Z',
      '20261301T120000Z',
    ],
  ],
  ['a lifetime that is none', 'X-Amz-Expires', ['', '0', '0900', '-900', 'in 900', '900 s', '1000000']],
  ['another user', 'DBUser', ['', 'App', 'apps']],
  ['another Region', 'X-Amz-Credential', ['', 'AKIA', 'AKIA/20260101/us-east-1/rds-db/aws4_request']],
] as const) {
  test(`takes no token that has ${title}`, () => {
    for (const value of values)
      assert.equal(readToken(request, makeToken({ [parameter]: value })), undefined, value)
  })
}

test('takes no token that lacks a part', () => {
  for (const parameter of ['DBUser', 'X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Expires', 'X-Amz-Signature'])
    assert.equal(readToken(request, makeToken({ [parameter]: undefined })), undefined, parameter)
})
