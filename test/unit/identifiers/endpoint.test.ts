import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { hostProblem, isIpAddress, isWriterEndpoint } from '../../../src/identifiers/endpoint.ts'
import {
  isGlobalEndpoint,
  isRegionName,
  knownPartitionOf,
  partitionNames,
  partitionOf,
  partitionProblem,
  regionOfHost,
  urlSuffixOf,
} from '../../../src/identifiers/region.ts'

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
  ['orders.c1x2.rds.us-gov-east-1.amazonaws.com', 'us-gov-east-1'],
  ['orders.cluster-c1x2.eusc-de-east-1.rds.amazonaws.eu', 'eusc-de-east-1'],
  ['orders.proxy-c1x2.eusc-de-east-1.rds.amazonaws.eu', 'eusc-de-east-1'],
  ['orders.cluster-c1x2.rds.us-iso-east-1.c2s.ic.gov', 'us-iso-east-1'],
  ['orders.c1x2.us-iso-west-1.rds.c2s.ic.gov', 'us-iso-west-1'],
  ['orders.c1x2.rds.us-isob-east-1.sc2s.sgov.gov', 'us-isob-east-1'],
  ['orders.c1x2.rds.eu-isoe-west-1.cloud.adc-e.uk', 'eu-isoe-west-1'],
  ['orders.c1x2.rds.us-isof-south-1.csp.hci.ic.gov', 'us-isof-south-1'],
  ['orders.c1x2.xx-future-1.rds.amazonaws.com', 'xx-future-1'],
  ['orders.c1x2.eu-west-10.rds.amazonaws.com', 'eu-west-10'],
  ['orders.global-c1x2.global.rds.amazonaws.com', undefined],
  ['orders.c1x2.eusc-de-east-1.rds.amazonaws.eu.example.com', undefined],
  ['orders.c1x2.us-iso-east-1.rds.c2sxic.gov', undefined],
  ['rds.eu-west-1.amazonaws.com', undefined],
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

for (const [host, isWriter] of [
  ['orders.cluster-c1x2.us-east-1.rds.amazonaws.com', true],
  ['orders.cluster-c1x2.rds.cn-north-1.amazonaws.com.cn', true],
  ['orders.cluster-c1x2.rds.eusc-de-east-1.amazonaws.eu', true],
  ['orders.global-c1x2.global.rds.amazonaws.com', true],
  ['orders.cluster-ro-c1x2.us-east-1.rds.amazonaws.com', false],
  ['orders.cluster-custom-c1x2.us-east-1.rds.amazonaws.com', false],
  ['orders.shardgrp-c1x2.us-east-1.rds.amazonaws.com', false],
  ['orders.c1x2.us-east-1.rds.amazonaws.com', false],
  ['orders.proxy-c1x2.us-east-1.rds.amazonaws.com', false],
  ['cluster-c1x2.us-east-1.rds.amazonaws.com', false],
  ['orders.cluster-c1x2.us-east-1.rds.amazonaws.com.example.com', false],
  ['orders.cluster-c1x2.example.com', false],
  ['localhost', false],
] as const) {
  test(`takes ${host} ${isWriter ? '' : 'not '}for the endpoint of a writer`, () =>
    assert.equal(isWriterEndpoint(host), isWriter))
}

for (const [region, partition] of [
  ['eu-west-1', 'aws'],
  ['us-east-1', 'aws'],
  ['cn-north-1', 'aws-cn'],
  ['us-gov-east-1', 'aws-us-gov'],
  ['eusc-de-east-1', 'aws-eusc'],
  ['us-iso-east-1', 'aws-iso'],
  ['us-isob-east-1', 'aws-iso-b'],
  ['eu-isoe-west-1', 'aws-iso-e'],
  ['us-isof-south-1', 'aws-iso-f'],
] as const) {
  test(`knows that ${region} is in the partition ${partition}`, () =>
    assert.equal(partitionOf(region), partition))
}

test('knows every Region, partition and suffix that the AWS SDK knows', async () => {
  // The SDK exports its list nowhere, so it is read from the file.
  const file = 'client/util-endpoints/lib/aws/partitions.js'
  const core = new URL('../../../node_modules/@aws-sdk/core/', import.meta.url)
  const text = readFileSync(new URL(`dist-es/submodules/${file}`, core), 'utf8')
  const { partitionsInfo } = await import(`data:text/javascript,${encodeURIComponent(text)}`)
  const { partitions } = partitionsInfo as {
    partitions: { id: string; outputs: { dnsSuffix: string }; regions: Record<string, unknown> }[]
  }
  assert.deepEqual(partitions.map(({ id }) => id).sort(), [...partitionNames].sort())
  for (const { id, outputs, regions } of partitions) {
    for (const region of Object.keys(regions).filter(name => !name.endsWith('-global'))) {
      assert.ok(isRegionName(region), region)
      assert.equal(knownPartitionOf(region), id, region)
      assert.equal(urlSuffixOf(region), outputs.dnsSuffix, region)
      assert.equal(regionOfHost(`orders.c1x2.${region}.rds.${outputs.dnsSuffix}`), region)
    }
  }
})

test('takes a Region that nobody knows yet for one of the partition aws, and tells that it is a guess', () => {
  assert.equal(knownPartitionOf('xx-future-1'), undefined)
  assert.equal(partitionOf('xx-future-1'), 'aws')
  assert.equal(urlSuffixOf('xx-future-1'), 'amazonaws.com')
})

for (const [partition, region, problem] of [
  ['aws', 'eu-west-1', undefined],
  ['aws-future', 'xx-future-1', undefined],
  ['aws-eusc', 'xx-future-1', undefined],
  ['aws-cn', 'eu-west-1', 'is not that of eu-west-1, aws; leave it out'],
  ['AWS', 'xx-future-1', 'is not the name of a partition, such as aws or aws-cn'],
  ['aws:', 'xx-future-1', 'is not the name of a partition, such as aws or aws-cn'],
  [7, 'xx-future-1', 'is not the name of a partition, such as aws or aws-cn'],
] as const) {
  test(`says what is wrong with the partition ${partition} for ${region}`, () =>
    assert.equal(partitionProblem(partition, region), problem))
}

for (const [host, isGlobal] of [
  ['orders.global-c1x2.global.rds.amazonaws.com', true],
  ['orders.global-c1x2.global.rds.amazonaws.com.cn', true],
  ['orders.global-c1x2.global.rds.amazonaws.eu', true],
  ['orders.cluster-c1x2.eu-west-1.rds.amazonaws.com', false],
  ['global-orders.c1x2.eu-west-1.rds.amazonaws.com', false],
  ['orders.global-c1x2.global.rds.amazonaws.com.example.com', false],
  ['global-c1x2.global.rds.amazonaws.com', false],
  ['orders.global-c1x2.global.rds-amazonaws.com', false],
] as const) {
  test(`${isGlobal ? 'takes' : 'does not take'} ${host} for the writer endpoint of a global database`, () =>
    assert.equal(isGlobalEndpoint(host), isGlobal))
}

test('knows the name of a Region when it sees one', () => {
  for (const name of [
    'eu-west-1',
    'us-gov-west-1',
    'ap-southeast-7',
    'il-central-1',
    'eusc-de-east-1',
    'us-isob-east-1',
  ]) {
    assert.ok(isRegionName(name), name)
  }
  for (const name of [
    '',
    'eu-west',
    'EU-WEST-1',
    'eu-west-1a',
    'Ireland',
    'global',
    'eu-west-100',
    ' eu-west-1',
    'eu-west-1\n',
  ]) {
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
