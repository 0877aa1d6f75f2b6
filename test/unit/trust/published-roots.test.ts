import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { createSecureContext } from 'node:tls'
import { amazonRoots, loadRegionRoots, regions } from 'middy-rds-iam/roots'
import { isRegionName } from '../../../src/identifiers/region.ts'

const read = (pem: string) => new X509Certificate(pem)
const rootsOf = new Map(
  await Promise.all(regions.map(async region => [region, await loadRegionRoots(region)] as const)),
)
const every = [...[...rootsOf.values()].flat(), ...amazonRoots].map(read)

test('carries the Regions that RDS has been in for years', () => {
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

for (const [region, roots] of rootsOf) {
  test(`carries one authority of each kind for ${region}, and of no other Region`, () => {
    assert.deepEqual(
      roots.map(pem => /CN=(.*)/.exec(read(pem).subject)?.[1]).sort(),
      ['ECC384', 'RSA2048', 'RSA4096'].map(kind => `Amazon RDS ${region} Root CA ${kind} G1`),
    )
  })
  test(`has an entry for ${region}, with the same authorities`, async () => {
    const module = await import(`middy-rds-iam/roots/${region}`)
    assert.deepEqual({ ...module }, { roots })
  })
}

test('has no file for a Region that is not in the list, and none for two', () => {
  const names = readdirSync(new URL('../../../roots', import.meta.url))
  const expected = ['index', ...regions].flatMap(name => [`${name}.d.ts`, `${name}.js`])
  assert.deepEqual(names.sort(), expected.sort())
})

for (const name of ['il-central-1', '', '../index', '__proto__', 'constructor', 'toString']) {
  test(`carries nothing for ${JSON.stringify(name)}`, async () => {
    assert.deepEqual(await loadRegionRoots(name), [])
  })
}

test('carries authorities that TLS takes as they are', () => {
  for (const ca of [...rootsOf.values(), amazonRoots]) createSecureContext({ ca: [...ca] })
  assert.ok(every.length > 80)
})

test('carries authorities that vouch for themselves, and nothing else', () => {
  for (const certificate of every) {
    assert.ok(certificate.ca, certificate.subject)
    assert.ok(certificate.checkIssued(certificate), certificate.subject)
    assert.ok(certificate.verify(certificate.publicKey), certificate.subject)
  }
})

test('carries no authority that is expired or ends within a year', () => {
  const soon = new Date(Date.now() + 365 * 86_400_000)
  for (const { validFrom, validTo, subject } of every) {
    assert.ok(new Date(validFrom) < new Date(), subject)
    assert.ok(new Date(validTo) > soon, `${subject} ends at ${validTo}`)
  }
})

test('carries no authority that serves no production database', () => {
  for (const { subject } of every) assert.doesNotMatch(subject, /beta|preview|test/i)
})

test('carries each authority once', () => {
  assert.equal(new Set(every.map(({ fingerprint256 }) => fingerprint256)).size, every.length)
})
