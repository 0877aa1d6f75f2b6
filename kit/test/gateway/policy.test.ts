import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { readPolicy } from '../../src/gateway/policy.ts'
import { type GatewayPolicy, startGateway } from '../../src/index.ts'
import { makeClient, openGateway, openPostgres, region, signToken, tryConnect } from './support.ts'

const resourceId = 'db-ABCDEFGHIJKL01234'
const arn = `arn:aws:rds-db:eu-west-1:123456789012:dbuser:${resourceId}/app`
const allow = { Effect: 'Allow', Action: 'rds-db:connect', Resource: arn }
const deny = { ...allow, Effect: 'Deny' }

function evaluate(statement: unknown, user = 'app', policy: Partial<GatewayPolicy> = {}, where = region) {
  const problems: string[] = []
  const document = { Version: '2012-10-17', Statement: statement }
  const decide = readPolicy({ document, resourceId, ...policy }, where, problem => problems.push(problem))
  assert.deepEqual(problems, [])
  return decide(user)
}

describe('a policy allows', () => {
  const cases: Record<string, unknown> = {
    'the very user': allow,
    'by a list of statements': [allow],
    'by lists of actions and resources': {
      ...allow,
      Action: ['s3:GetObject', 'rds-db:connect'],
      Resource: ['arn:aws:s3:::x', arn],
    },
    'by * for everything': { ...allow, Action: '*', Resource: '*' },
    'by a wildcard in the action': { ...allow, Action: 'rds-db:*' },
    'by ? in the action': { ...allow, Action: 'rds-db:c?nnect' },
    'whatever the case of the action': { ...allow, Action: 'RDS-DB:Connect' },
    'any user of the database': { ...allow, Resource: arn.replace(/app$/, '*') },
    'the user on any database': { ...allow, Resource: arn.replace(resourceId, '*') },
    'by ? for one character each': { ...allow, Resource: arn.replace(/app$/, 'a??') },
    'by a prefix': { ...allow, Resource: arn.replace(/app$/, 'a*') },
    'by * for nothing': { ...allow, Resource: `${arn}*` },
    'where another user is denied': [allow, { ...deny, Resource: arn.replace(/app$/, 'postgres') }],
    'where another action is denied': [allow, { ...deny, Action: 'rds:*', Resource: '*' }],
    'what NotResource leaves': {
      Effect: 'Allow',
      Action: 'rds-db:connect',
      NotResource: arn.replace(/app$/, 'admin'),
    },
    'what NotAction leaves': { Effect: 'Allow', NotAction: 'iam:*', Resource: '*' },
  }
  for (const [what, statement] of Object.entries(cases)) {
    it(what, () => assert.equal(evaluate(statement).allowed, true))
  }

  it('in the partition and the account of the database', () => {
    const statement = {
      ...allow,
      Resource: `arn:aws-cn:rds-db:cn-north-1:210987654321:dbuser:${resourceId}/app`,
    }
    assert.equal(evaluate(statement, 'app', { accountId: '210987654321' }, 'cn-north-1').allowed, true)
    assert.equal(evaluate(statement).allowed, false)
  })

  it('in the European Sovereign Cloud, and in a Region that nobody knows yet', () => {
    const named = (partition: string, place: string) => ({
      ...allow,
      Resource: `arn:${partition}:rds-db:${place}:123456789012:dbuser:${resourceId}/app`,
    })
    const cloud = named('aws-eusc', 'eusc-de-east-1')
    assert.equal(evaluate(cloud, 'app', {}, 'eusc-de-east-1').allowed, true)
    const future = named('aws-future', 'xx-future-1')
    assert.equal(evaluate(future, 'app', { partition: 'aws-future' }, 'xx-future-1').allowed, true)
    assert.equal(evaluate(named('aws', 'xx-future-1'), 'app', {}, 'xx-future-1').allowed, true)
  })
})

describe('a policy does not allow', () => {
  const cases: Record<string, unknown> = {
    'what no statement is about': { ...allow, Action: 's3:*', Resource: '*' },
    'what is denied, first': [deny, allow],
    'what is denied, last': [{ ...allow, Action: '*', Resource: '*' }, deny],
    'what is denied by a wildcard': [allow, { Effect: 'Deny', Action: '*', Resource: '*' }],
    'what NotResource denies': [allow, { Effect: 'Deny', Action: '*', NotResource: 'arn:aws:s3:::*' }],
    'by rds:*, which is another service': { ...allow, Action: 'rds:*', Resource: '*' },
    'by an ARN of rds': { ...allow, Resource: arn.replace('rds-db', 'rds') },
    'by an ARN in another case': { ...allow, Resource: arn.replace('rds-db', 'rds-DB') },
    'by the name of the instance in place of its resource id': {
      ...allow,
      Resource: arn.replace(resourceId, 'orders'),
    },
    'by an ARN without the user': { ...allow, Resource: arn.replace('/app', '') },
    'the user in another case': { ...allow, Resource: arn.replace(/app$/, 'App') },
    'another Region': { ...allow, Resource: arn.replace('eu-west-1', 'us-east-1') },
    'another account': { ...allow, Resource: arn.replace('123456789012', '210987654321') },
    'more than ? says': { ...allow, Resource: arn.replace(/app$/, 'a?') },
    'by a pattern that would be one of regular expressions': {
      ...allow,
      Resource: arn.replace(/app$/, 'a.+'),
    },
  }
  for (const [what, statement] of Object.entries(cases)) {
    it(what, () => assert.equal(evaluate(statement).allowed, false))
  }

  it('a user whose name would be a wildcard', () => {
    assert.equal(evaluate(allow, '*').allowed, false)
    assert.equal(evaluate(allow, 'ap?').allowed, false)
  })

  it('and says what would have to be allowed, or what denies', () => {
    assert.equal(
      evaluate({ ...allow, Action: 's3:*' }).detail,
      `no statement of the policy allows rds-db:connect on ${arn}`,
    )
    assert.equal(
      evaluate([allow, { ...deny, Sid: 'NoApp' }]).detail,
      `statement "NoApp" of the policy denies rds-db:connect on ${arn}`,
    )
  })
})

describe('a malformed policy keeps the gateway from starting, and the error says where', () => {
  const statement = (fields: object) => ({
    Version: '2012-10-17',
    Statement: [allow, { ...allow, ...fields }],
  })
  const cases: [string, unknown, string][] = [
    [
      'no object',
      'allow all',
      '`policy.document` must be an object with Version and Statement, got "allow all"',
    ],
    ['no statement', { Version: '2012-10-17' }, '.Statement` must be an object, got nothing'],
    [
      'an invented version',
      { Version: '2019-05-20', Statement: allow },
      '.Version` must be "2012-10-17", got "2019-05-20"',
    ],
    ['an unknown element', { Versoin: '2012-10-17', Statement: allow }, 'has an unknown element Versoin'],
    ['a statement that is none', { Statement: [null] }, '.Statement[0]` must be an object, got null'],
    [
      'an effect in another case',
      statement({ Effect: 'allow' }),
      '.Statement[1].Effect` must be "Allow" or "Deny", got "allow"',
    ],
    ['no action', statement({ Action: undefined }), '.Statement[1]` must have either Action or NotAction'],
    [
      'both kinds of resource',
      statement({ NotResource: '*' }),
      '.Statement[1]` must have either Resource or NotResource',
    ],
    [
      'an action without its service',
      statement({ Action: 'connect' }),
      'the action "connect" must have the form',
    ],
    [
      'a list that is empty',
      statement({ Resource: [] }),
      '.Statement[1].Resource` must be a text or a list of texts, got []',
    ],
    [
      'a resource that is no text',
      statement({ Resource: { 'Fn::Sub': '…' } }),
      '.Statement[1].Resource` must be a text',
    ],
    ['a resource that is no ARN', statement({ Resource: 'orders' }), 'the resource "orders" must be an ARN'],
    [
      'a partition that there is not',
      statement({ Resource: arn.replace('arn:aws:', 'arn:aws-future:') }),
      '.Statement[1].Resource` the partition "aws-future" does not exist',
    ],
    [
      'a wildcard in the service of an action',
      statement({ Action: 'rds*:connect' }),
      '.Statement[1].Action` the service of the action "rds*:connect" must be written out',
    ],
    [
      'a wildcard in the service of an ARN',
      statement({ Resource: 'arn:aws:rds*:*' }),
      '.Statement[1].Resource` the service must be written out',
    ],
    [
      'a condition that is none',
      statement({ Condition: { Bool: 'true' } }),
      '.Statement[1].Condition.Bool` must be an object',
    ],
    ['a principal', statement({ Principal: '*' }), '.Statement[1].Principal` is not an element'],
  ]
  for (const [what, document, message] of cases) {
    it(what, async () => {
      await assert.rejects(
        startGateway({ upstream: { port: 1 }, region, policy: { document, resourceId } }),
        error => {
          assert.equal((error as { code?: string }).code, 'RDS_IAM_OPTIONS')
          assert.ok((error as Error).message.includes(message), (error as Error).message)
          return true
        },
      )
    })
  }
})

it('decides about connections', async t => {
  const postgres = await openPostgres({ after })
  const document = { Version: '2012-10-17', Statement: [allow] }
  const { gateway, decisions } = await openGateway(t, postgres, { policy: { document, resourceId } })
  assert.equal(await tryConnect(makeClient(gateway)), undefined)
  assert.match(decisions[0]?.detail ?? '', /is valid; statement 1 of the policy allows rds-db:connect/)
  const token = await signToken(gateway, { username: 'App' })
  const error = await tryConnect(makeClient(gateway, token, { user: 'App' }))
  assert.equal(error?.code, '28000')
  assert.equal(error?.message, 'PAM authentication failed for user "App"')
  assert.equal(decisions[1]?.reason, 'NotAuthorized')
  assert.match(decisions[1]?.detail ?? '', /no statement of the policy allows rds-db:connect on arn:.*\/App$/)
  await tryConnect(makeClient(gateway, await signToken(gateway), { user: 'App' }))
  assert.equal(decisions[2]?.reason, 'InvalidToken', 'the policy is not asked about a bad token')
})

it('admits nobody where the answer depends on what only AWS knows, and says in the log on what', async t => {
  const postgres = await openPostgres({ after })
  const condition = { StringEquals: { 'aws:PrincipalTag/team': 'orders' } }
  const variable = arn.replace('/app', () => '/$' + '{aws:PrincipalTag/team}')
  const cases = [
    [
      { ...allow, Condition: condition },
      /depends on the condition StringEquals of aws:PrincipalTag\/team in statement 1$/,
    ],
    [
      { ...allow, Resource: variable },
      /depends on the policy variable \$\{aws:PrincipalTag\/team\} in statement 1$/,
    ],
    [[allow, { ...deny, Condition: condition }], /depends on the condition .* in statement 2$/],
    [
      { ...allow, Resource: arn.replace('/app', () => '/$' + '{aws:username}') },
      /no statement of the policy allows/,
    ],
  ] as const
  for (const [Statement, detail] of cases) {
    const document = { Version: '2012-10-17', Statement }
    const { gateway, decisions } = await openGateway(t, postgres, { policy: { document, resourceId } })
    const error = await tryConnect(makeClient(gateway))
    assert.equal(error?.message, 'PAM authentication failed for user "app"')
    assert.equal(decisions[0]?.reason, 'NotAuthorized')
    assert.match(decisions[0]?.detail ?? '', detail)
  }
})
