import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkPolicy } from '../../../src/index.ts'

const question = {
  region: 'eu-west-1',
  accountId: '123456789012',
  resourceId: 'db-ABCDEFGHIJKL01234',
  user: 'app',
}
const arn = 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABCDEFGHIJKL01234/app'
const allow = { Effect: 'Allow', Action: 'rds-db:connect', Resource: arn }

function check(fields: object, more: object = {}) {
  return checkPolicy({ Version: '2012-10-17', Statement: { ...allow, ...fields }, ...more }, question)
}

describe('an ARN', () => {
  for (const [what, Resource, expected] of [
    ['that ends behind the service', 'arn:aws:rds-db', true],
    ['that ends behind the service, with a star', 'arn:aws:rds-db:*', true],
    ['that ends behind the Region', 'arn:aws:rds-db:eu-west-1', true],
    ['that ends behind another Region', 'arn:aws:rds-db:us-east-1', false],
    ['that ends behind the account', 'arn:aws:rds-db:eu-west-1:123456789012', true],
    ['in any partition', arn.replace('arn:aws:', 'arn:*:'), true],
    ['whose star ends a field and goes on behind it', 'arn:aws:rds-db:*:dbuser:*/app', true],
    ['whose star in the middle of a field would have to', arn.replace('eu-west-1:123', 'eu*123'), false],
    ['whose question mark would have to be a colon', arn.replace('eu-west-1:', 'eu-west-1?'), false],
    ['whose star stands for several parts of the name', arn.replace(/:db-.*/, ':d*p'), true],
    ['whose question marks stand for one character each', arn.replace('eu-west-1', 'eu-????-?'), true],
  ] as const) {
    it(`${what} ${expected ? 'covers' : 'does not cover'} the user`, () => {
      const result = check({ Resource })
      assert.equal(result.allowed, expected)
      assert.notEqual(result.detail, 'IAM does not take a malformed policy')
    })
  }

  it('that is completed is compared field by field where it does not cover the user', () => {
    const { problems } = check({ Resource: 'arn:aws:rds-db:us-east-1' })
    assert.deepEqual(
      problems.map(({ message }) => message),
      ['is for the Region us-east-1, not eu-west-1'],
    )
  })
})

describe('IAM does not take', () => {
  for (const [what, fields, at, message] of [
    ['a star for the service of an action', { Action: 'rds*:connect' }, '.Action', /without a wildcard/],
    ['a question mark there', { Action: ['rds-d?:connect'] }, '.Action[0]', /without a wildcard/],
    ['an underscore there', { Action: 'rds_db:connect' }, '.Action', /must be written out/],
    ['a star for the service of an ARN', { Resource: 'arn:aws:*:*:*:*' }, '.Resource', /without a wildcard/],
    ['a part of a star there', { Resource: 'arn:aws:rds*:*:*:*' }, '.Resource', /without a wildcard/],
    ['no service in an ARN', { Resource: 'arn:aws' }, '.Resource', /must name a service/],
    ['an empty service', { Resource: 'arn:aws::*' }, '.Resource', /must name a service/],
    ['a field left out within', { Resource: 'arn:aws:s3::bucket' }, '.Resource', /all of its six fields/],
    ['a partition that is none', { Resource: [arn, 'arn:aws-x:s3:::b'] }, '.Resource[1]', /"aws-x" does not/],
    ['a part of a partition', { Resource: 'arn:aws*:rds-db:*' }, '.Resource', /"aws\*" does not exist/],
    [
      'an operator that is none',
      { Condition: { StringMatches: { 'aws:a': 'b' } } },
      '.Condition.StringMatches',
      /not a condition operator/,
    ],
    [
      'a condition key without its service',
      { Condition: { StringEquals: { username: 'b' } } },
      '.Condition.StringEquals.username',
      /must have its service in front/,
    ],
    [
      'an object as the value of a condition',
      { Condition: { StringEquals: { 'aws:a': { Ref: 'x' } } } },
      '.Condition.StringEquals.aws:a',
      /must be a text or a list of texts/,
    ],
    [
      'a condition without an operator',
      { Condition: { StringEquals: 'x' } },
      '.Condition.StringEquals',
      /object/,
    ],
  ] as const) {
    it(what, () => {
      const { allowed, detail, problems } = check(fields)
      assert.deepEqual([allowed, detail], [false, 'IAM does not take a malformed policy'])
      const found = problems.find(problem => problem.at === `.Statement${at}`)
      assert.match(found?.message ?? problems.map(({ at }) => at).join(), message)
    })
  }

  it('an Id that is no text', () => {
    assert.deepEqual(
      check({}, { Id: 7 }).problems.map(({ at }) => at),
      ['.Id'],
    )
  })

  it('more characters than it has room for, white space aside', () => {
    const long = (length: number) =>
      check({ Resource: [arn, ...Array(length).fill(`${arn}${'x'.repeat(26)}`)] })
    const [small, big, tooBig] = [long(10), long(70), long(110)]
    assert.deepEqual([small.allowed, small.notes], [true, []])
    assert.equal(big.allowed, true)
    assert.match(big.notes[0]?.message ?? '', /^has \d+ characters, too many for a managed policy \(6144\)$/)
    assert.equal(tooBig.allowed, false)
    assert.match(
      tooBig.problems[0]?.message ?? '',
      /^has \d+ characters; IAM takes 6144 at most, 10240 inline$/,
    )
  })
})

it('an operator that does not exist passes where it tests nothing', () => {
  assert.equal(check({ Condition: { Whatever: {} } }).allowed, true)
})
