import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readPolicy } from '../../kit/src/gateway/policy.ts'
import { checkPolicy } from '../../src/index.ts'
import { findMoto, findSimulator, type PolicyContext } from '../support/policy-judges.ts'
import { effort } from '../support/properties.ts'

// Policies are judged by evaluators that nobody here wrote. `.ci/run` installs them into `.local/`.
const moto = findMoto()
const simulate = findSimulator()
const withoutMoto = moto === undefined && 'moto is not in .local/moto: bash .ci/run installs it'
const withoutSimulator =
  simulate === undefined && 'iam-simulate is not in .local/iam-simulate: bash .ci/run installs it'

const seed = Number(process.env.PROPERTIES_SEED ?? 20_260_101)
const region = 'eu-west-1'
const accountId = '123456789012'
const resourceId = 'db-ABC'
const arnOf = (user: string) => `arn:aws:rds-db:${region}:${accountId}:dbuser:${resourceId}/${user}`
const oneOrMore = (text: fc.Arbitrary<string>) =>
  fc.oneof(text, fc.array(text, { minLength: 1, maxLength: 3 }))

/** What we make of a policy: whether IAM takes it, and what is decided. */
function judge(policy: unknown, user: string) {
  const problems: string[] = []
  const options = { document: policy, resourceId, accountId }
  const { allowed, detail } = readPolicy(options, region, (at, text) => problems.push(`${at} ${text}`))(user)
  const { dependsOn } = checkPolicy(policy, { region, accountId, resourceId, user })
  return { problems, allowed, detail, depends: dependsOn.length > 0 }
}

const userName = fc.constantFrom('app', 'App', 'a', 'ap', 'report', 'AssumedRole', 'AROAEXAMPLE:orders')
const effect = fc.constantFrom('Allow', 'Allow', 'Deny')

/**
 * Policies for moto's evaluation. What it is known to get wrong is kept out, each for its reason:
 * - `?`, `.` and other characters of regular expressions: it makes a regular expression of a pattern, and
 *   escapes nothing;
 * - actions in capitals: it compares them by case;
 * - ARNs that end early: it does not complete them;
 * - stars within a field of an ARN that would have to match a colon: it lets any star do so;
 * - NotResource: it passes over it, and over the effect of the statement with it;
 * - conditions: one that does not hold denies, and one that it does not know holds;
 * - policy variables: it takes them for text.
 */
const forMoto = fc.record({
  user: fc.constantFrom('app', 'App', 'a', 'ap', 'report', 'AssumedRole'),
  policy: policyOf(
    fc
      .record({
        Effect: effect,
        action: oneOrMore(
          fc.constantFrom(
            'rds-db:connect',
            'rds-db:*',
            'rds-db:con*t',
            '*',
            'rds:*',
            's3:GetObject',
            'rds-db:co',
          ),
        ),
        Resource: oneOrMore(
          fc.constantFrom(
            ...['*', arnOf('*'), arnOf('app'), arnOf('a*'), arnOf('*p*'), arnOf('App'), arnOf('')],
            ...[arnOf('app').replace(resourceId, '*'), arnOf('app').replace(resourceId, 'db-XYZ')],
            ...[arnOf('app').replace(region, '*'), arnOf('app').replace(region, 'us-*')],
            ...[arnOf('app').replace(accountId, '*'), arnOf('app').replace(accountId, '210987654321')],
            ...[arnOf('app').replace('arn:aws:', 'arn:*:'), 'arn:aws:rds-db:*:*:*', 'arn:aws:s3:::bucket/*'],
          ),
        ),
        isNegated: fc.constantFrom(false, false, false, true),
      })
      .map(({ action, isNegated, ...rest }) => ({ ...rest, [isNegated ? 'NotAction' : 'Action']: action })),
  ),
})

function policyOf(statement: fc.Arbitrary<object>): fc.Arbitrary<{ Version: string; Statement: object[] }> {
  const Statement = fc.array(statement, { minLength: 1, maxLength: 4 })
  return fc.record({ Version: fc.constant('2012-10-17'), Statement })
}

test('moto decides as we do', { skip: withoutMoto }, () => {
  const cases = fc.sample(forMoto, { seed, numRuns: 2_000 * effort })
  const verdicts = moto?.(cases.map(({ policy, user }) => ({ policy, arn: arnOf(user) }))) ?? []
  let allowed = 0
  for (const [index, { policy, user }] of cases.entries()) {
    const ours = judge(policy, user)
    assert.deepEqual(ours.problems, [], JSON.stringify(policy))
    assert.equal(verdicts[index]?.valid, true, `${verdicts[index]?.why}: ${JSON.stringify(policy)}`)
    assert.equal(
      ours.allowed,
      verdicts[index]?.permitted,
      `${user}: ${JSON.stringify(policy)}: ${ours.detail}`,
    )
    if (ours.allowed) allowed += 1
  }
  const share = allowed / cases.length
  assert.ok(share > 0.1 && share < 0.9, `${allowed} of ${cases.length} are allowed: too many of one kind`)
})

/**
 * Policies with mistakes, for moto's validation, which was written against IAM's own errors. Kept out:
 * - the Version "2008-10-17", which it refuses and IAM's documentation allows;
 * - `null` in lists, and an element `Conditions` beside Statement, both of which it lets pass;
 * - a wildcard in the service of an ARN, which it lets pass and IAM refuses ("Resource vendor must be fully
 *   qualified and cannot contain regexes");
 * - characters of a Sid or of an action's name, and condition keys without a service, none of which it looks at;
 * - ARNs of IAM and S3, whose own rules it has.
 */
const maybeWrong = fc.record({
  Version: fc.constantFrom('2012-10-17', '2012-10-17', '2012-10-17', '2012-10-17', '2019-05-20', 7),
  Statement: fc.oneof(
    { weight: 20, arbitrary: fc.array(wrongStatement(), { minLength: 1, maxLength: 2 }) },
    { weight: 1, arbitrary: fc.constantFrom<unknown>([], 'Allow', null, [null]) },
  ),
})

function wrongStatement(): fc.Arbitrary<object> {
  const mostly = (right: unknown, ...wrong: readonly unknown[]) =>
    fc.oneof(
      { weight: 12, arbitrary: fc.constant(right) },
      { weight: 1, arbitrary: fc.constantFrom(...wrong) },
    )
  const absent = Symbol('absent')
  return fc
    .record({
      Sid: mostly(absent, 'One', 'One', '', 7, {}),
      Effect: mostly('Allow', 'allow', 'Maybe', absent, 7),
      Action: mostly(
        'rds-db:connect',
        ...[
          '*',
          ['rds-db:*', 's3:*'],
          [],
          absent,
          'connect',
          'rds*:connect',
          'r?s:connect',
          'a:b:c',
          'rds_db:x',
        ],
        ...['rds-db.x:connect', '*:*', '*:connect', { a: 'b' }],
      ),
      NotAction: mostly(absent, 'rds-db:connect'),
      Resource: mostly(
        arnOf('app'),
        ...[
          '*',
          'arn:aws:rds-db',
          'arn:*:rds-db:*',
          [arnOf('a'), '*'],
          [],
          absent,
          'app',
          '',
          'arn:aws',
          'arn:',
        ],
        ...[
          'arn:aws-cn:rds-db:*',
          'arn:aws-x:rds-db:*',
          'arn:aws*:rds-db:*',
          'arn:AWS:rds-db:*',
          'arn::rds-db:*',
        ],
        ...['arn:aws::eu-west-1', 'arn:aws:rds-db::x', 'arn:aws:rds-db:eu-west-1:x', { Ref: 'x' }],
      ),
      NotResource: mostly(absent, '*'),
      Condition: mostly(
        absent,
        ...[{}, { StringEquals: {} }, { StringEquals: { 'aws:a': 'b' } }, { Bool: { 'aws:a': true } }],
        ...[
          { 'ForAnyValue:StringLikeIfExists': { 'aws:a': ['b', 'c'] } },
          { StringMatches: { 'aws:a': 'b' } },
        ],
        ...[{ StringMatches: {} }, { StringEquals: 'b' }, { StringEquals: { 'aws:a': { b: 'c' } } }, 'x', []],
      ),
      Principal: mostly(absent, absent),
      Effects: mostly(absent, 'Allow'),
    })
    .map(fields => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== absent)))
}

test('moto takes the policies that we take, and refuses the others', { skip: withoutMoto }, () => {
  const cases = fc.sample(maybeWrong, { seed, numRuns: 3_000 * effort })
  const verdicts = moto?.(cases.map(policy => ({ policy, arn: arnOf('app') }))) ?? []
  let refused = 0
  for (const [index, policy] of cases.entries()) {
    const { problems } = judge(policy, 'app')
    const { valid, why } = verdicts[index] ?? {}
    assert.equal(problems.length === 0, valid, `${why ?? problems.join()}: ${JSON.stringify(policy)}`)
    if (!valid) refused += 1
  }
  const share = refused / cases.length
  assert.ok(share > 0.2 && share < 0.9, `${refused} of ${cases.length} are refused: too many of one kind`)
})

const key = (name: string) => `\${${name}}`
const conditionValues = fc.constantFrom(
  'app',
  'App',
  'a*',
  '*',
  'AssumedRole',
  'true',
  'false',
  accountId,
  key('aws:PrincipalTag/team'),
)
const conditionKeys = fc.constantFrom(
  ...['aws:PrincipalTag/team', 'aws:principaltag/TEAM', 'aws:username', 'aws:PrincipalType', 'aws:userid'],
  ...['aws:PrincipalAccount', 'aws:PrincipalIsAWSService', 'aws:MultiFactorAuthPresent', 'aws:SourceIp'],
)
const operators = fc
  .tuple(
    fc.constantFrom(
      'StringEquals',
      'StringNotEquals',
      'StringEqualsIgnoreCase',
      'StringLike',
      'StringNotLike',
      'Bool',
      'Null',
    ),
    fc.constantFrom('', '', 'IfExists'),
  )
  .map(([name, suffix]) => (name === 'Null' ? name : `${name}${suffix}`))

/**
 * Policies for iam-simulate, with variables and conditions. Kept out:
 * - stars that go on behind a colon, as AWS documents it of the last one in a field: it compares field by field;
 * - wildcards and variables in front of the first colon or slash of the last field: it takes them for text;
 * - ARNs that end early: in NotResource, it takes one that does not match for one that does;
 * - `Bool` and `Null` with any other text than `true`: what IAM makes of it is not documented.
 */
const forSimulator = fc.record({
  user: userName,
  policy: policyOf(
    fc
      .record({
        Effect: effect,
        Action: oneOrMore(fc.constantFrom('rds-db:connect', 'RDS-DB:Connect', 'rds-db:c?nnect', '*', 's3:*')),
        resource: oneOrMore(
          fc.constantFrom(
            ...['*', arnOf('*'), arnOf('app'), arnOf('a??'), arnOf('a*'), arnOf(key('*')), arnOf('App')],
            ...[key('aws:username'), key('aws:PrincipalTag/team'), `a${key('aws:PrincipalTag/team')}`].map(
              arnOf,
            ),
            ...[key("aws:username, 'app'"), key("aws:PrincipalTag/team, 'app'"), key('aws:userid')].map(
              arnOf,
            ),
            ...[key('aws:PrincipalType'), key('aws:PrincipalArn'), key('aws:SourceIp')].map(arnOf),
            ...[arnOf('app').replace(region, 'eu-*'), arnOf('app').replace(region, 'us-????-1')],
          ),
        ),
        isNegated: fc.constantFrom(false, false, false, true),
        tests: fc.array(fc.tuple(operators, conditionKeys, oneOrMore(conditionValues)), { maxLength: 2 }),
      })
      .map(({ resource, isNegated, tests, ...rest }) => ({
        ...rest,
        [isNegated ? 'NotResource' : 'Resource']: resource,
        ...(tests.length > 0 && { Condition: conditionOf(tests) }),
      })),
  ),
})

function conditionOf(tests: readonly (readonly [string, string, string | string[]])[]) {
  const condition: Record<string, Record<string, string | string[]>> = {}
  for (const [operator, key, value] of tests) {
    const isTruth = /^(Bool|Null)/.test(operator)
    condition[operator] = { ...condition[operator], [key]: isTruth ? 'true' : value }
  }
  return condition
}

/** What every session of a role has, and all that one of them may have besides. */
const contexts: readonly PolicyContext[] = [
  undefined,
  'app',
  'App',
  'pp',
  'other',
  'AROAEXAMPLE:orders',
].flatMap(team =>
  [undefined, 'true', 'false'].map(mfa => ({
    'aws:userid': 'AROAEXAMPLE:orders',
    'aws:PrincipalType': 'AssumedRole',
    'aws:PrincipalArn': `arn:aws:iam::${accountId}:role/orders`,
    'aws:PrincipalAccount': accountId,
    'aws:PrincipalIsAWSService': 'false',
    'aws:RequestedRegion': region,
    ...(team !== undefined && { 'aws:PrincipalTag/team': team }),
    ...(mfa !== undefined && { 'aws:MultiFactorAuthPresent': mfa }),
  })),
)

test('iam-simulate allows whatever the session has where we allow, and never where we refuse', {
  skip: withoutSimulator,
}, () => {
  const cases = fc.sample(forSimulator, { seed, numRuns: 1_500 * effort })
  const counts = { allowed: 0, refused: 0, depends: 0, open: 0 }
  for (const { policy, user } of cases) {
    const ours = judge(policy, user)
    assert.deepEqual(ours.problems, [], JSON.stringify(policy))
    const verdicts = contexts.map(context => simulate?.({ policy, arn: arnOf(user) }, context))
    const message = `${user}: ${JSON.stringify(policy)}: ${ours.detail}`
    if (ours.depends) {
      counts.depends += 1
      if (new Set(verdicts).size === 2) counts.open += 1
    } else {
      counts[ours.allowed ? 'allowed' : 'refused'] += 1
      for (const [index, verdict] of verdicts.entries())
        assert.equal(verdict, ours.allowed, `${message}; ${JSON.stringify(contexts[index])}`)
    }
  }
  for (const [kind, count] of Object.entries(counts))
    assert.ok(
      count > 0.05 * cases.length,
      `${kind}: ${JSON.stringify(counts)} of ${cases.length} tell too little`,
    )
})
