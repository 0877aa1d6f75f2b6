import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAmzDate, parseToken, quote } from '../../src/gateway/token-text.ts'

const query =
  'Action=connect&DBUser=a%20b&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA&X-Amz-Date=20260101T120000Z' +
  '&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0123'

test('takes a token apart, with or without a slash before its parameters', () => {
  for (const text of [`db:5432/?${query}`, `db:5432?${query}`]) {
    const token = parseToken(text)
    assert.ok(typeof token === 'object', String(token))
    assert.equal(token.host, 'db:5432')
    assert.equal(token.parameters.size, 8)
    assert.equal(token.parameters.get('DBUser'), 'a b')
    assert.equal(token.parameters.get('X-Amz-Signature'), '0123')
  }
})

test('takes a value with equals signs, line breaks and a session token as it is', () => {
  const token = parseToken(`db:5432/?${query}&X-Amz-Security-Token=a==\nb`)
  assert.ok(typeof token === 'object', String(token))
  assert.equal(token.parameters.get('X-Amz-Security-Token'), 'a==\nb')
})

for (const [title, text, problem] of [
  [
    'a URL',
    `https://db:5432/?${query}`,
    'what was sent begins with the scheme of a URL, which an authentication token does not have',
  ],
  ['a URL with a rare scheme', `a1+.-b://db:5432/?${query}`, /scheme of a URL/],
  [
    'a password',
    'correct horse',
    'what was sent is not an authentication token: it has no "host:port/?" in front',
  ],
  ['no host', `/?${query}`, /no "host:port/],
  ['no host and no slash', `?${query}`, /no "host:port/],
  [
    'a parameter without a name',
    `db:5432/?${query}&=1`,
    'the token has a parameter that authentication tokens do not have',
  ],
  ['a parameter without a value', `db:5432/?${query}&X-Amz-Security-Token`, /parameter that/],
  ['a name with a letter more, and no value', `db:5432/?${query}&DBUserx`, /parameter that/],
  ['a parameter twice', `db:5432/?${query}&DBUser=b`, 'the token has DBUser twice'],
  [
    'a plus',
    `db:5432/?${query.replace('%20', '+')}`,
    'the token has a "+" in DBUser; it has to be encoded, as %2B or %20',
  ],
  [
    'broken encoding',
    `db:5432/?${query.replace('%20', '%E0')}`,
    'a parameter of the token is not percent-encoded UTF-8',
  ],
  ['one parameter', 'db:5432/?Action=connect', /^the token lacks DBUser, X-Amz-Algorithm, /],
  ['nothing behind the question mark', 'db:5432/?', /parameter that/],
] as const) {
  test(`says what is wrong: ${title}`, () => {
    const said = parseToken(text)
    if (typeof problem === 'string') assert.equal(said, problem)
    else assert.match(String(said), problem)
  })
}

test('takes a colon and slashes inside a token for no scheme', () => {
  assert.equal(typeof parseToken(`db:5432/?${query}&X-Amz-Security-Token=https://db`), 'object')
  // A scheme begins with a letter.
  assert.equal(parseToken(`1https://db:5432/?${query}`), parseToken('correct horse'))
})

test('names each parameter that is missing', () => {
  for (const part of query.split('&')) {
    const [name = ''] = part.split('=')
    const others = query.split('&').filter(other => other !== part)
    assert.equal(parseToken(`db:5432/?${others.join('&')}`), `the token lacks ${name}`)
  }
})

test('reads a date, and takes no other text for one', () => {
  assert.equal(parseAmzDate('20261122T081500Z'), Date.UTC(2026, 10, 22, 8, 15))
  const others = ['', 'x20261122T081500Z', '20261122T081500Zx', '20260231T081500Z', '20261322T081500Z']
  for (const text of others) assert.equal(parseAmzDate(text), undefined, text)
})

test('shows text of a client quoted, escaped and cut after 128 characters', () => {
  assert.equal(quote('a"b\n'), '"a\\"b\\n"')
  assert.equal(quote('a'.repeat(128)), `"${'a'.repeat(128)}"`)
  assert.equal(quote('a'.repeat(129)), `"${'a'.repeat(128)}…"`)
})
