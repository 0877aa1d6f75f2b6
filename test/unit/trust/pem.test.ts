import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeAuthority } from '../../../kit/src/index.ts'
import { pemProblem, splitPem } from '../../../src/trust/pem.ts'

const { ca } = await makeAuthority('one')
const { ca: other } = await makeAuthority('other')
const broken = ca.replace(/\n.*\n/, '\n!!!\n')

test('finds the certificates in a text, and nothing that stands between them', () => {
  assert.deepEqual(splitPem(`one\n${ca}two\n${other}`), [ca.trim(), other.trim()])
  assert.deepEqual(splitPem('no certificate'), [])
  assert.deepEqual(splitPem('-----BEGIN CERTIFICATE----------END CERTIFICATE-----'), [])
})

test('takes certificates, with a comment or without', () => {
  for (const text of [ca, `# RDS\n${ca}${other}`]) assert.equal(pemProblem(text), undefined)
})

test('refuses a private key, and shows nothing of it', () => {
  for (const kind of ['', 'RSA ', 'EC '])
    assert.equal(
      pemProblem(`${ca}-----BEGIN ${kind}PRIVATE KEY-----\nMIIE\n-----END ${kind}PRIVATE KEY-----\n`),
      'holds a private key, which does not belong here',
    )
})

for (const path of ['./ca.pem', '/opt/certs/rds-ca_2019.pem', 'C:\\certs\\ca.crt', '~/ca.pem', 'ca.ca']) {
  test(`knows a path that was passed for the text of a file: ${path}`, () => {
    assert.equal(pemProblem(path), `is a path ("${path}"); pass the text of the file`)
  })
}

for (const [title, text] of [
  ['nothing', ''],
  ['a sentence with a path', 'see ./ca.pem'],
  ['a path with a sentence behind', './ca.pem is it'],
  ['a file without an ending', 'ca'],
  ['a file with a long ending', 'ca.certs'],
  ['a file with an ending of a letter', 'ca.c'],
  ['a path that no system takes', `${'a'.repeat(296)}.pem`],
  ['no certificate at all', 'MIIE'],
] as const) {
  test(`says how long a text without certificates is: ${title}`, () => {
    assert.equal(pemProblem(text), `holds no certificate; got a text of ${text.length} characters`)
  })
}

test('still knows a long path', () => {
  assert.match(pemProblem(`${'a'.repeat(295)}.pem`) ?? '', /^is a path/)
})

test('says which certificate cannot be read', () => {
  assert.equal(pemProblem(broken), 'holds a certificate that cannot be read, number 1 of 1')
  assert.equal(pemProblem(`${ca}${broken}${other}`), 'holds a certificate that cannot be read, number 2 of 3')
})
