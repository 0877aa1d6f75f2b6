import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readPolicy } from '../../../kit/src/gateway/policy.ts'
import { checkPolicy } from '../../../src/index.ts'

const database = { region: 'eu-west-1', accountId: '123456789012', resourceId: 'db-ABCDEFGHIJKL01234' }
const arnOf = (user: string) => `arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABCDEFGHIJKL01234/${user}`
const app = arnOf('app')
const allow = { Effect: 'Allow', Action: 'rds-db:connect', Resource: app }
const deny = { ...allow, Effect: 'Deny' }
const variable = (text: string) => `\${${text}}`
const withCondition = (operator: string, key: string, value: unknown = 'x') => ({
  Condition: { [operator]: { [key]: value } },
})

type Verdict = 'allowed' | 'refused' | RegExp

/** What the command and the gateway make of statements: both have to say the same. */
function verdictOf(statement: unknown, user = 'app', Version = '2012-10-17'): string {
  const document = { Version, Statement: statement }
  const { allowed, dependsOn, problems, detail } = checkPolicy(document, { ...database, user })
  const reported: string[] = []
  const decision = readPolicy({ document, ...database }, database.region, at => reported.push(at))(user)
  assert.deepEqual(reported, [])
  assert.equal(decision.allowed, allowed)
  assert.equal(decision.detail, detail)
  if (allowed) {
    assert.deepEqual(dependsOn, [])
    return 'allowed'
  }
  assert.ok(dependsOn.length > 0 || problems.length > 0, 'a refusal has a reason')
  if (dependsOn.length === 0) return 'refused'
  for (const { message } of dependsOn) assert.ok(detail.includes(message.replace(/^.*depending on /, '')))
  return detail
}

function assertVerdict(expected: Verdict, actual: string): void {
  if (expected instanceof RegExp) assert.match(actual, expected)
  else assert.equal(actual, expected)
}

describe('a policy variable in a resource', () => {
  const tag = variable('aws:PrincipalTag/team')
  const cases: readonly (readonly [string, unknown, Verdict, string?])[] = [
    ['aws:username, which the session of a role has not', variable('aws:username'), 'refused'],
    ['aws:UserName in another case', variable('aws:UserName'), 'refused'],
    ['aws:username beside the very user', [app, arnOf(variable('aws:username'))], 'allowed'],
    ['aws:username with a default value', variable("aws:username, 'app'"), 'allowed'],
    ['aws:username with another default value', variable("aws:username, 'other'"), 'refused'],
    ['a default value that would be a wildcard', variable("aws:username, '*'"), 'refused'],
    ['a tag of the role', tag, /^whether .* depends on the policy variable \$\{aws:PrincipalTag\/team\} in/],
    ['a tag of the role in a part of the name', `a${tag}p`, /depends on/],
    ['a tag of the role in another name', `b${tag}`, 'refused'],
    ['a tag with a default value', variable("aws:PrincipalTag/team, 'app'"), /depends on/],
    ['aws:userid, which is no such name', variable('aws:userid'), 'refused'],
    ['aws:userid, which may be this name', variable('aws:userid'), /depends on/, 'AROAEXAMPLE:orders'],
    ['aws:PrincipalType', variable('aws:PrincipalType'), 'allowed', 'AssumedRole'],
    ['aws:PrincipalType and another user', variable('aws:PrincipalType'), 'refused'],
    ['aws:PrincipalAccount', variable('aws:PrincipalAccount'), 'allowed', '123456789012'],
    ['aws:PrincipalAccount and another user', variable('aws:PrincipalAccount'), 'refused', '210987654321'],
    ['the ARN of the role', variable('aws:PrincipalArn'), 'refused'],
    [
      'the ARN of the role, which may be this',
      variable('aws:PrincipalArn'),
      /depends on/,
      'arn:aws:iam::123456789012:role/a',
    ],
    ['what RDS never tells IAM', variable('aws:SourceIp'), 'refused'],
    ['what is no condition key', variable('user'), /depends on the policy variable \$\{user\}/],
    ['a default value without its quotes', variable('aws:username, app'), /depends on/],
    ['the character *', variable('*'), 'allowed', '*'],
    ['the character * for any', variable('*'), 'refused', 'anything'],
    ['the character ?', `${variable('?')}${variable('$')}`, 'allowed', '?$'],
  ]
  for (const [what, given, expected, user] of cases) {
    it(what, () => {
      const Resource = Array.isArray(given) ? given : arnOf(String(given))
      assertVerdict(expected, verdictOf({ ...allow, Resource }, user))
    })
  }

  it('in the Region and the account of an ARN', () => {
    const Resource = app
      .replace('eu-west-1', variable('aws:RequestedRegion'))
      .replace('123456789012', variable('aws:PrincipalAccount'))
    assert.equal(verdictOf({ ...allow, Resource }), 'allowed')
  })

  it('is plain text in the Version 2008-10-17, and named as a problem', () => {
    const statement = { ...allow, Resource: arnOf(tag) }
    assert.equal(verdictOf(statement, 'app', '2008-10-17'), 'refused')
    const { problems } = checkPolicy({ Statement: statement }, { ...database, user: 'app' })
    assert.match(problems[0]?.message ?? '', /which needs the Version "2012-10-17"/)
  })

  it('makes a Deny that may match a question, and one that cannot none', () => {
    assert.match(verdictOf([allow, { ...deny, Resource: arnOf(tag) }]), /depends on/)
    assert.equal(verdictOf([allow, { ...deny, Resource: arnOf(variable('aws:username')) }]), 'allowed')
    assert.equal(verdictOf([deny, { ...allow, Resource: arnOf(tag) }]), 'refused')
  })

  it('leaves NotResource open, where AWS does not say what it then matches', () => {
    const { Resource: _, ...rest } = allow
    const missing = { ...rest, NotResource: arnOf(variable('aws:username')) }
    assert.match(verdictOf(missing), /depends on the policy variable \$\{aws:username\}/)
    assert.match(verdictOf([allow, { ...missing, Effect: 'Deny' }]), /depends on/)
    assert.equal(verdictOf({ ...rest, NotResource: [app, arnOf(variable('aws:username'))] }), 'refused')
    assert.match(verdictOf({ ...rest, NotResource: arnOf(tag) }), /depends on/)
  })

  it('says why the statement never matches', () => {
    const document = {
      Version: '2012-10-17',
      Statement: [{ ...allow, Resource: arnOf(variable('aws:username')) }],
    }
    const { allowed, problems } = checkPolicy(document, { ...database, user: 'app' })
    assert.equal(allowed, false)
    assert.deepEqual(problems, [
      {
        policy: 0,
        at: '.Statement[0].Resource',
        message: `has ${variable('aws:username')} in it, which the session of a role does not have: it matches nothing`,
      },
    ])
  })
})

describe('a condition', () => {
  const cases: readonly (readonly [string, string, unknown, Verdict])[] = [
    ['StringEquals', 'aws:PrincipalTag/team', 'orders', /depends on the condition StringEquals of aws:Pr/],
    ['Bool', 'aws:MultiFactorAuthPresent', 'true', /depends on/],
    ['DateLessThan', 'aws:CurrentTime', '2030-01-01T00:00:00Z', /depends on/],
    ['StringEquals', 'aws:PrincipalType', 'AssumedRole', 'allowed'],
    ['StringEquals', 'AWS:principaltype', ['User', 'AssumedRole'], 'allowed'],
    ['StringEquals', 'aws:PrincipalType', 'assumedrole', 'refused'],
    ['StringEqualsIgnoreCase', 'aws:PrincipalType', 'assumedrole', 'allowed'],
    ['stringlike', 'aws:PrincipalType', 'Assumed*', 'allowed'],
    ['StringEquals', 'aws:PrincipalType', 'Assumed*', 'refused'],
    ['StringNotLike', 'aws:PrincipalType', ['User', 'Account'], 'allowed'],
    ['StringNotEquals', 'aws:PrincipalType', ['User', 'AssumedRole'], 'refused'],
    ['StringEquals', 'aws:PrincipalAccount', '123456789012', 'allowed'],
    ['StringEquals', 'aws:RequestedRegion', ['us-east-1'], 'refused'],
    ['ForAnyValue:StringEquals', 'aws:RequestedRegion', 'eu-west-1', 'allowed'],
    ['Bool', 'aws:PrincipalIsAWSService', false, 'allowed'],
    ['Bool', 'aws:PrincipalIsAWSService', 'TRUE', 'refused'],
    ['ArnLike', 'aws:PrincipalAccount', '*', /depends on/],
    ['Null', 'aws:PrincipalType', 'false', 'allowed'],
    ['Null', 'aws:PrincipalType', true, 'refused'],
    ['StringEquals', 'aws:username', 'app', 'refused'],
    ['StringEqualsIfExists', 'aws:username', 'app', 'allowed'],
    ['StringNotEquals', 'aws:username', 'app', 'allowed'],
    ['Null', 'aws:username', 'true', 'allowed'],
    ['Null', 'aws:username', 'false', 'refused'],
    ['ForAllValues:StringEquals', 'aws:PrincipalServiceNamesList', 'x', 'allowed'],
    ['ForAnyValue:StringNotEquals', 'aws:PrincipalServiceNamesList', 'x', 'refused'],
    ['StringNotEquals', 'aws:PrincipalType', '$' + '{aws:username}', /depends on/],
    ['StringEquals', 'aws:PrincipalType', '$' + '{aws:username}', 'refused'],
    ['StringEquals', 'aws:RequestedRegion', '$' + '{aws:PrincipalTag/region}', /depends on/],
    ['IpAddress', 'aws:SourceIp', '10.0.0.0/8', 'refused'],
    ['NotIpAddress', 'aws:SourceIp', '10.0.0.0/8', /depends on/],
  ]
  for (const [operator, key, value, expected] of cases)
    it(`${operator} of ${key} with ${JSON.stringify(value)}`, () =>
      assertVerdict(expected, verdictOf({ ...allow, ...withCondition(operator, key, value) })))

  it('that is empty holds', () => {
    assert.equal(verdictOf({ ...allow, Condition: {} }), 'allowed')
    assert.equal(verdictOf({ ...allow, Condition: { StringEquals: {} } }), 'allowed')
  })

  it('holds where all of its tests do', () => {
    const both = { StringEquals: { 'aws:PrincipalType': 'AssumedRole', 'aws:PrincipalTag/a': 'b' } }
    assert.match(
      verdictOf({ ...allow, Condition: both }),
      /depends on the condition StringEquals of aws:PrincipalTag\/a in/,
    )
    const never = { StringEquals: { 'aws:PrincipalType': 'User', 'aws:PrincipalTag/a': 'b' } }
    assert.equal(verdictOf({ ...allow, Condition: never }), 'refused')
  })

  it('of a Deny is never taken for false where that is not known', () => {
    const unless = (operator: string, key: string) => [allow, { ...deny, ...withCondition(operator, key) }]
    assert.match(verdictOf(unless('StringNotEquals', 'aws:PrincipalTag/team')), /depends on/)
    assert.match(verdictOf(unless('NotIpAddress', 'aws:SourceIp')), /depends on/)
    assert.equal(verdictOf(unless('StringEquals', 'aws:username')), 'allowed')
    assert.equal(verdictOf(unless('StringNotEquals', 'aws:PrincipalType')), 'refused')
    assert.equal(
      verdictOf([deny, { ...allow, ...withCondition('StringEquals', 'aws:PrincipalTag/a') }]),
      'refused',
    )
  })

  it('does not matter where a statement without one allows', () => {
    assert.equal(
      verdictOf([{ ...allow, ...withCondition('Bool', 'aws:MultiFactorAuthPresent') }, allow]),
      'allowed',
    )
  })

  it('that is open says nothing of the Resource where a Deny wins', () => {
    const { Resource: NotResource, ...rest } = allow
    const open = {
      ...rest,
      NotResource: arnOf('other'),
      ...withCondition('StringEquals', 'aws:PrincipalTag/a'),
    }
    const Statement = [{ ...deny, Resource: NotResource }, open]
    const { problems } = checkPolicy({ Version: '2012-10-17', Statement }, { ...database, user: 'app' })
    assert.deepEqual(
      problems.map(({ at }) => at),
      ['.Statement[0]'],
    )
  })

  it('of the Region is open where the Region is not said', () => {
    const Statement = {
      ...allow,
      Resource: app.replace('eu-west-1', 'eu-*'),
      ...withCondition('StringEquals', 'aws:RequestedRegion', 'eu-west-1'),
    }
    const { resourceId } = database
    const { allowed, dependsOn } = checkPolicy(
      { Version: '2012-10-17', Statement },
      { resourceId, user: 'app' },
    )
    assert.deepEqual([allowed, dependsOn.length], [false, 1])
  })

  it('that cannot hold is named', () => {
    const Statement = { ...allow, ...withCondition('StringEquals', 'aws:username') }
    const { problems } = checkPolicy({ Version: '2012-10-17', Statement }, { ...database, user: 'app' })
    assert.deepEqual(
      problems.map(({ at, message }) => `${at} ${message}`),
      [
        '.Statement.Condition.StringEquals.aws:username does not hold: aws:username is what the session of a role does not have',
      ],
    )
  })
})
