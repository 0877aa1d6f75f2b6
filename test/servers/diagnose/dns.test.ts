// Against a DNS server on this machine. `127.1` is a name for it that every system resolves without asking anybody.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveHost } from '../../../src/diagnose/address-steps.ts'
import { diagnosePg } from '../../../src/diagnose/diagnose-pg.ts'
import type { Settings } from '../../../src/options/settings.ts'
import { usePostgres } from '../../support/database.ts'
import { checked, stepOf } from '../../support/diagnosis.ts'
import { useDns } from '../../support/dns.ts'
import { setEnvironment } from '../../support/environment.ts'

const rdsName = 'orders.c1x2.eu-west-1.rds.amazonaws.com'
const diagnose = checked(diagnosePg)
const { gate } = await usePostgres()

const { aliases, asked } = await useDns()

const limit = { stepMs: 5_000, deadlineMs: Number.POSITIVE_INFINITY }
const resolve = (host: string, endpointHost = host) =>
  resolveHost({ host, endpoint: { host: endpointHost, port: 5432 } } as Settings, limit)

test('says that a name leads to an RDS endpoint, by several steps too, and that it has to be given', async t => {
  aliases.set('127.1', 'db.example.com').set('db.example.com', rdsName.toUpperCase())
  t.after(() => aliases.clear())
  const { options } = await gate()
  const report = await diagnose({ ...options, host: '127.1' })
  const { status, finding, remedy, details } = stepOf(report, 'dns')
  assert.equal(status, 'warning')
  assert.equal(finding, `127.0.0.1 (loopback); the name is a CNAME that leads to ${rdsName}`)
  assert.match(remedy ?? '', new RegExp(`Give \`endpoint: { host: '${rdsName}' }\` .*--endpoint ${rdsName}`))
  assert.deepEqual(details?.aliases, ['db.example.com', rdsName])
  // A doubt stops nothing: what it leads to is seen.
  assert.equal(stepOf(report, 'tcp').status, 'ok')
  assert.match(stepOf(report, 'tls').finding, /does not match certificate's altnames/)
})

test('finds nothing to say where the endpoint is given', async t => {
  aliases.set('127.1', rdsName)
  t.after(() => aliases.clear())
  const { status, finding } = await resolve('127.1', rdsName)
  assert.deepEqual(
    [status, finding],
    [undefined, `127.0.0.1 (loopback); the name is a CNAME that leads to ${rdsName}`],
  )
})

test('doubts an endpoint that the name does not lead to', async t => {
  aliases.set('127.1', rdsName)
  t.after(() => aliases.clear())
  const { status, remedy } = await resolve('127.1', 'other.c1x2.eu-west-1.rds.amazonaws.com')
  assert.equal(status, 'warning')
  assert.match(remedy ?? '', /tokens are signed for other\.c1x2/)
})

test('comes to an end where aliases go in a circle, or nobody knows the name', async t => {
  aliases
    .set('127.1', 'a.example.com')
    .set('a.example.com', 'b.example.com')
    .set('b.example.com', 'a.example.com')
  t.after(() => aliases.clear())
  assert.deepEqual((await resolve('127.1')).details?.aliases, ['a.example.com', 'b.example.com'])
  aliases.clear()
  assert.deepEqual((await resolve('127.1')).details?.aliases, [])
})

test('asks nobody for an alias of an address or of this machine', async () => {
  asked.length = 0
  for (const host of ['127.0.0.1', '::1', 'localhost']) await resolve(host, rdsName)
  assert.deepEqual(asked, [])
})

for (const [address, kind] of [
  ['127.0.0.1', 'loopback'],
  ['::1', 'loopback'],
  ['10.1.2.3', 'private'],
  ['172.31.0.1', 'private'],
  ['192.168.0.1', 'private'],
  ['100.64.0.1', 'private'],
  ['fd00::1', 'private'],
  ['172.32.0.1', 'public'],
  ['203.0.113.7', 'public'],
  ['2001:db8::1', 'public'],
] as const) {
  test(`says that ${address} is ${kind}`, async () => {
    const { finding } = await resolve(address, rdsName)
    assert.equal(finding, `${address} (${kind}); there is no name to resolve`)
  })
}

test('doubts a public address in Lambda, and there alone', async t => {
  assert.equal((await resolve('203.0.113.7', rdsName)).status, undefined)
  setEnvironment(t, { AWS_LAMBDA_FUNCTION_NAME: 'notes' })
  const { status, remedy } = await resolve('203.0.113.7', rdsName)
  assert.equal(status, 'warning')
  assert.match(remedy ?? '', /resolves to a private address/)
})

for (const [title, given, own, finding] of [
  [
    'the endpoint',
    { endpoint: { host: rdsName } },
    'us-east-1',
    'eu-west-1, from the name of the endpoint; the process itself is in us-east-1',
  ],
  [
    'the endpoint, and of the process',
    { endpoint: { host: rdsName } },
    'eu-west-1',
    'eu-west-1, from the name of the endpoint',
  ],
  ['an option', { region: 'eu-west-1' }, undefined, 'eu-west-1, from the option `region`'],
  [
    'the environment',
    {},
    'eu-west-1',
    'eu-west-1, from the environment, because the name of the endpoint does not tell it',
  ],
] as const) {
  test(`says that the Region is that of ${title}`, async t => {
    setEnvironment(t, { AWS_REGION: own, AWS_DEFAULT_REGION: undefined })
    const { options } = await gate()
    const report = await diagnose({ ...options, region: undefined, ...given })
    assert.equal(stepOf(report, 'region').finding, finding)
  })
}

test('says that the Region is missing where nothing tells it', async t => {
  setEnvironment(t, { AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined })
  const { options } = await gate()
  const { status, finding } = stepOf(await diagnose({ ...options, region: undefined }), 'options')
  assert.equal(status, 'failed')
  assert.match(
    finding,
    /^`region` is missing: the name of the endpoint does not tell it; give it, or set AWS_REGION$/,
  )
})
