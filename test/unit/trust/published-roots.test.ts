import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { amazonRoots, rdsRoots } from 'middy-rds-iam/roots'
import { isRegionName } from '../../../src/identifiers/region.ts'

const read = (der: string) => new X509Certificate(Buffer.from(der, 'base64'))
const every = [...Object.values(rdsRoots).flat(), ...amazonRoots].map(read)

test('carries the Regions that RDS has been in for years', () => {
  const regions = Object.keys(rdsRoots)
  for (const region of [
    'us-east-1',
    'us-west-2',
    'eu-west-1',
    'eu-central-1',
    'ap-northeast-1',
    'sa-east-1',
  ]) {
    assert.ok(regions.includes(region), region)
  }
  assert.ok(regions.every(isRegionName))
})

for (const [region, roots] of Object.entries(rdsRoots)) {
  test(`carries one authority of each kind for ${region}, and of no other Region`, () => {
    assert.deepEqual(
      roots.map(der => /CN=(.*)/.exec(read(der).subject)?.[1]).sort(),
      ['ECC384', 'RSA2048', 'RSA4096'].map(kind => `Amazon RDS ${region} Root CA ${kind} G1`),
    )
  })
}

test('carries authorities that vouch for themselves, and nothing else', () => {
  for (const certificate of every) {
    assert.ok(certificate.ca, certificate.subject)
    assert.ok(certificate.checkIssued(certificate), certificate.subject)
    assert.ok(certificate.verify(certificate.publicKey), certificate.subject)
  }
})

test('carries no authority that is expired or ends within a year', () => {
  const soon = new Date(Date.now() + 365 * 86_400_000)
  for (const { validFromDate, validToDate, subject } of every) {
    assert.ok(validFromDate < new Date(), subject)
    assert.ok(validToDate > soon, `${subject} ends at ${validToDate.toISOString()}`)
  }
})

test('carries no authority that serves no production database', () => {
  for (const { subject } of every) assert.doesNotMatch(subject, /beta|preview|test/i)
})

test('carries each authority once', () => {
  assert.equal(new Set(every.map(({ fingerprint256 }) => fingerprint256)).size, every.length)
})
