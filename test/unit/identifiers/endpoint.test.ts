import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostProblem, isIpAddress } from '../../../src/identifiers/endpoint.ts'
import { isRegionName, partitionOf, regionOfHost } from '../../../src/identifiers/region.ts'

for (const [host, region] of [
  ['orders.c1x2.eu-west-1.rds.amazonaws.com', 'eu-west-1'],
  ['orders.cluster-c1x2.us-east-1.rds.amazonaws.com', 'us-east-1'],
  ['orders.cluster-ro-c1x2.ap-southeast-7.rds.amazonaws.com', 'ap-southeast-7'],
  ['orders.cluster-custom-c1x2.mx-central-1.rds.amazonaws.com', 'mx-central-1'],
  ['orders.proxy-c1x2.il-central-1.rds.amazonaws.com', 'il-central-1'],
  ['readonly.endpoint.proxy-c1x2.ca-west-1.rds.amazonaws.com', 'ca-west-1'],
  ['orders.c1x2.us-gov-west-1.rds.amazonaws.com', 'us-gov-west-1'],
  ['orders.c1x2.rds.cn-northwest-1.amazonaws.com.cn', 'cn-northwest-1'],
  ['orders.c1x2.cn-north-1.rds.amazonaws.com.cn', 'cn-north-1'],
  ['db.example.com', undefined],
  ['localhost', undefined],
  ['10.0.0.1', undefined],
  ['orders.c1x2.eu-west-1.rds.amazonaws.com.example.com', undefined],
  ['orders.c1x2.eu-west-1.rds-amazonaws.com', undefined],
  ['eu-west-1.rds.amazonaws.com', undefined],
  ['orders.c1x2.eu-west-1.redshift.amazonaws.com', undefined],
] as const) {
  test(`reads ${region ?? 'no Region'} in ${host}`, () => assert.equal(regionOfHost(host), region))
}

for (const [region, partition] of [
  ['eu-west-1', 'aws'],
  ['us-east-1', 'aws'],
  ['cn-north-1', 'aws-cn'],
  ['us-gov-east-1', 'aws-us-gov'],
] as const) {
  test(`knows that ${region} is in the partition ${partition}`, () =>
    assert.equal(partitionOf(region), partition))
}

test('knows the name of a Region when it sees one', () => {
  for (const name of ['eu-west-1', 'us-gov-west-1', 'ap-southeast-7', 'il-central-1']) {
    assert.ok(isRegionName(name), name)
  }
  for (const name of ['', 'eu-west', 'EU-WEST-1', 'eu-west-1a', 'Ireland', ' eu-west-1', 'eu-west-1\n']) {
    assert.ok(!isRegionName(name), JSON.stringify(name))
  }
})

for (const host of [
  'orders.c1x2.eu-west-1.rds.amazonaws.com',
  'ORDERS.c1x2.eu-west-1.RDS.amazonaws.com',
  'localhost',
  'db_1.internal',
  '10.0.0.1',
  '::1',
  `${'a'.repeat(60)}.example.com`,
]) {
  test(`takes ${host} for a host`, () => assert.equal(hostProblem(host), undefined))
}

for (const [host, problem] of [
  ['postgres://orders.example.com', /scheme \("postgres:\/\/"\)/],
  ['https://orders.example.com', /scheme \("https:\/\/"\)/],
  ['postgres://app:hunter2@orders.example.com:5432/orders', /scheme/],
  ['orders.example.com:5432', /port.*`port`/],
  ['/var/run/postgresql', /Unix socket/],
  [
    'abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws',
    /Aurora DSQL.*@aws\/aurora-dsql-node-postgres-connector/,
  ],
  ['abc.dsql-gamma.us-east-1.on.aws', /Aurora DSQL/],
  ['orders example com', /not a host name/],
  ['orders..example.com', /not a host name/],
  ['-orders.example.com', /not a host name/],
  ['orders.example.com.', /not a host name/],
  ['orders.example.com/orders', /not a host name/],
  ['app@orders.example.com', /not a host name/],
  ['', /not a host name/],
  ['a\0b', /not a host name/],
  ['a.'.repeat(150), /not a host name/],
] as const) {
  test(`says what is wrong with ${JSON.stringify(host.slice(0, 60))} as a host`, () => {
    const said = hostProblem(host)
    assert.match(said ?? '', problem)
    assert.doesNotMatch(said ?? '', /hunter2/)
  })
}

test('tells an IP address from a name', () => {
  for (const host of ['127.0.0.1', '::1', '2001:db8::1']) assert.ok(isIpAddress(host), host)
  for (const host of ['localhost', '1.2.3', '127.0.0.1.example.com', '']) assert.ok(!isIpAddress(host), host)
})
