import assert from 'node:assert/strict'
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { test } from 'node:test'
import { createScramVerifier } from '../../src/proxy/scram.ts'

const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest()

/** What a client sends last, by RFC 5802, written out by hand. */
function prove(password: string, bare: string, challenge: string, binding: string) {
  const [, nonce = '', salt = '', iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(challenge) ?? []
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256')
  const clientKey = hmac(salted, 'Client Key')
  const start = `c=${Buffer.from(binding).toString('base64')},r=${nonce}`
  const text = `${bare},${challenge},${start}`
  const signature = hmac(createHash('sha256').update(clientKey).digest(), text)
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)))
  const answer = hmac(hmac(salted, 'Server Key'), text).toString('base64')
  return { final: `${start},p=${proof.toString('base64')}`, answer: `v=${answer}` }
}

const bare = 'n=,r=client-nonce'
const verifier = createScramVerifier('the-password')

for (const header of ['n,,', 'y,,'])
  test(`the right password is taken, and proved to be known, with the header ${header}`, () => {
    const exchange = verifier.begin()
    const challenge = exchange.first(`${header}${bare}`) ?? ''
    assert.match(challenge, /^r=client-nonce.{24},s=/)
    const { final, answer } = prove('the-password', bare, challenge, header)
    assert.equal(exchange.final(final), answer)
  })

test('another password is refused', () => {
  const exchange = verifier.begin()
  const challenge = exchange.first(`n,,${bare}`) ?? ''
  assert.equal(exchange.final(prove('the-passwore', bare, challenge, 'n,,').final), undefined)
})

test('what was right in another exchange is refused', () => {
  const exchange = verifier.begin()
  const { final } = prove('the-password', bare, exchange.first(`n,,${bare}`) ?? '', 'n,,')
  const next = verifier.begin()
  next.first(`n,,${bare}`)
  assert.equal(next.final(final), undefined)
})

test('a header that somebody changed on the way is refused', () => {
  const exchange = verifier.begin()
  const challenge = exchange.first(`n,,${bare}`) ?? ''
  assert.equal(exchange.final(prove('the-password', bare, challenge, 'y,,').final), undefined)
})

test('what is no message of the exchange is refused', () => {
  for (const first of ['', bare, `p=tls-server-end-point,,${bare}`, `n,a=other,${bare}`, 'n,,n=,r='])
    assert.equal(verifier.begin().first(first), undefined, first)
  const exchange = verifier.begin()
  assert.equal(
    exchange.final(prove('the-password', bare, 'r=x,s=AAAA,i=1', 'n,,').final),
    undefined,
    'no first',
  )
  exchange.first(`n,,${bare}`)
  for (const final of ['', 'c=biws', 'c=biws,r=x,p=', 'c=biws,r=x,p=AAAA'])
    assert.equal(exchange.final(final), undefined, final)
})
