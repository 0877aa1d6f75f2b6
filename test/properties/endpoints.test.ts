import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { hostProblem, isIpAddress } from '../../src/identifiers/endpoint.ts'
import { isRegionName, partitionOf, regionOfHost } from '../../src/identifiers/region.ts'
import { readAddress, readRegion } from '../../src/options/address.ts'
import { createChecks } from '../../src/options/checks.ts'
import { assertProperty } from '../support/properties.ts'
import { unicode } from './garbage.ts'

const letters = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz'), minLength, maxLength })
const region = fc
  .tuple(
    letters(2, 4),
    fc.array(letters(1, 9), { minLength: 1, maxLength: 2 }),
    fc.integer({ min: 1, max: 99 }),
  )
  .map(([area, places, number]) => [area, ...places, number].join('-'))
const label = fc
  .string({
    unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_'),
    minLength: 1,
    maxLength: 63,
  })
  .filter(text => !text.startsWith('-') && !text.endsWith('-'))

/** Each letter in either case, as a name may be written. */
const inAnyCase = (text: string) =>
  fc
    .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
    .map(upper => [...text].map((letter, index) => (upper[index] ? letter.toUpperCase() : letter)).join(''))

const defaults = {
  defaultPort: 5432,
  environment: { host: 'NO_HOST', port: 'NO_PORT', user: 'NO_USER', database: 'NO_DATABASE' },
  defaultDatabase: (user: string) => user,
}

test('an RDS endpoint in any case is read in lower case, with the Region that its name tells', () => {
  const names = fc
    .tuple(fc.array(label, { minLength: 1, maxLength: 3 }), region, fc.boolean())
    .map(([labels, region, inChina]) => {
      // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.RegionsAndAvailabilityZones.html
      const chinese = `cn-${region.split('-').slice(-2).join('-')}`
      return inChina
        ? { region: chinese, name: `${labels.join('.')}.rds.${chinese}.amazonaws.com.cn` }
        : { region, name: `${labels.join('.')}.${region}.rds.amazonaws.com` }
    })
    .filter(({ name }) => name.length <= 253)
    .chain(({ region, name }) => inAnyCase(name).map(host => ({ region, host })))
  assertProperty(
    fc.property(names, fc.integer({ min: 1, max: 65_535 }), ({ region, host }, port) => {
      const checks = createChecks()
      const address = readAddress(checks, { host, port, user: 'app' }, defaults)
      assert.deepEqual(checks.problems, [])
      assert.equal(address.host, host.toLowerCase())
      assert.deepEqual(address.endpoint, { host: host.toLowerCase(), port })
      assert.equal(readRegion(checks, undefined, address.endpoint), region)
      assert.equal(readRegion(checks, region, address.endpoint), region)
      assert.deepEqual(checks.problems, [])
    }),
  )
})

test('the endpoint behind a CNAME, a tunnel or an address is the one that is signed for and verified', () => {
  const hosts = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6(), fc.constant('localhost'))
  assertProperty(
    fc.property(hosts, region, fc.option(fc.integer({ min: 1, max: 65_535 })), (host, region, port) => {
      const checks = createChecks()
      const name = `Orders.C1x2.${region}.rds.amazonaws.com`
      const endpoint = { host: name, ...(port === null ? {} : { port }) }
      const address = readAddress(checks, { host, port: 15_432, user: 'app', endpoint }, defaults)
      assert.deepEqual(checks.problems, [])
      assert.equal(address.host, host.toLowerCase())
      assert.equal(address.port, 15_432)
      assert.deepEqual(address.endpoint, { host: name.toLowerCase(), port: port ?? 15_432 })
      assert.equal(readRegion(checks, undefined, address.endpoint), region)
    }),
  )
})

test('whatever else is put into a host name is refused, and no text breaks the reading', () => {
  const labels = fc.array(label, { minLength: 1, maxLength: 3 }).map(labels => labels.join('.'))
  const broken = fc
    .tuple(labels, fc.nat(), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }))
    .map(([name, at, character]) => {
      const index = at % (name.length + 1)
      return name.slice(0, index) + character + name.slice(index)
    })
    .filter(text => isIP(text) === 0 && !/^[\w.-]*$/.test(text))
  assertProperty(fc.property(broken, text => assert.equal(typeof hostProblem(text), 'string')))
  assertProperty(
    fc.property(fc.oneof(unicode(), fc.webUrl(), fc.emailAddress(), fc.ipV6()), text => {
      const problem = hostProblem(text)
      if (problem === undefined) assert.match(text, isIpAddress(text) ? /^[\da-f.:]+$/i : /^[\w.-]+$/)
      // No token is signed for what follows a password.
      else assert.ok(problem.length < 400)
    }),
  )
})

test('the name of a Region is told from every other text', () => {
  assertProperty(fc.property(region, name => assert.ok(isRegionName(name))))
  const other = fc
    .tuple(region, fc.constantFrom(' ', '\n', 'a', '-', '.', 'E'))
    .chain(([name, more]) =>
      fc.nat({ max: name.length }).map(at => [name, name.slice(0, at) + more + name.slice(at)] as const),
    )
  assertProperty(
    fc.property(other, ([, text]) => {
      const parts = text.split('-')
      const isName =
        parts.length >= 3 &&
        /^[a-z]{2,4}$/.test(parts[0] ?? '') &&
        parts
          .slice(1, -1)
          .every(part => part !== '' && [...part].every(letter => letter >= 'a' && letter <= 'z')) &&
        /^[0-9]{1,2}$/.test(parts.at(-1) ?? '')
      assert.equal(isRegionName(text), isName, text)
    }),
  )
  assertProperty(fc.property(fc.domain(), name => assert.equal(regionOfHost(name), undefined)))
})

test('a Region is in the partition that its area names', () => {
  const inPartition = fc.constantFrom(
    ['cn-', 'aws-cn'],
    ['us-gov-', 'aws-us-gov'],
    ['eusc-de-', 'aws-eusc'],
    ['us-iso-', 'aws-iso'],
    ['us-isob-', 'aws-iso-b'],
    ['us-', 'aws'],
    ['eu-', 'aws'],
    ['cnx-', 'aws'],
  )
  const place = fc.stringMatching(/^[a-z]{4,9}-[1-9]$/)
  assertProperty(
    fc.property(inPartition, place, ([area, partition], place) => {
      assert.equal(partitionOf(`${area}${place}`), partition)
    }),
  )
})
