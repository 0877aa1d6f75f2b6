import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readPolicy } from '../../../kit/src/gateway/policy.ts'
import { checkPolicy, connectArn, connectPolicy, type PolicyCheck, RdsIamError } from '../../../src/index.ts'

const region = 'eu-west-1'
const accountId = '123456789012'
const resourceId = 'db-ABCDEFGHIJKL01234'
const database = { region, accountId, resourceId }
const app = { ...database, user: 'app' }
const arn = `arn:aws:rds-db:eu-west-1:123456789012:dbuser:${resourceId}/app`
const allow = { Effect: 'Allow', Action: 'rds-db:connect', Resource: arn }

/** The lines of the error that is thrown, its first one aside. */
function refusal(call: () => unknown, place: string): readonly string[] {
  try {
    call()
  } catch (error) {
    assert.ok(error instanceof RdsIamError, String(error))
    assert.equal(error.code, 'RDS_IAM_OPTIONS')
    const [first = '', ...lines] = error.message.split('\n')
    assert.match(first, new RegExp(`^${place}: `))
    return lines
  }
  return assert.fail('nothing was thrown')
}

/** What the gateway decides by a policy. */
function isAdmitted(
  document: unknown,
  question: { region: string; user: string; resourceId: string; accountId: string },
) {
  const problems: string[] = []
  const decide = readPolicy({ ...question, document }, question.region, problem => problems.push(problem))
  assert.deepEqual(problems, [])
  return decide(question.user).allowed
}

describe('connectArn', () => {
  for (const [what, options, expected] of [
    ['of an instance', app, arn],
    [
      'of an Aurora cluster in China',
      { ...app, region: 'cn-north-1', resourceId: 'cluster-ABC1' },
      'arn:aws-cn:rds-db:cn-north-1:123456789012:dbuser:cluster-ABC1/app',
    ],
    [
      'of a proxy in GovCloud',
      { ...app, region: 'us-gov-west-1', resourceId: 'prx-0abc1def' },
      'arn:aws-us-gov:rds-db:us-gov-west-1:123456789012:dbuser:prx-0abc1def/app',
    ],
    [
      'in the European Sovereign Cloud',
      { ...app, region: 'eusc-de-east-1' },
      `arn:aws-eusc:rds-db:eusc-de-east-1:123456789012:dbuser:${resourceId}/app`,
    ],
    [
      'in an isolated Region',
      { ...app, region: 'us-isob-east-1' },
      `arn:aws-iso-b:rds-db:us-isob-east-1:123456789012:dbuser:${resourceId}/app`,
    ],
    [
      'in a Region that nobody knows yet, as one of aws',
      { ...app, region: 'xx-future-1' },
      arn.replace(region, 'xx-future-1'),
    ],
    [
      'in a Region that nobody knows yet, in the partition that is given',
      { ...app, region: 'xx-future-1', partition: 'aws-future' },
      `arn:aws-future:rds-db:xx-future-1:123456789012:dbuser:${resourceId}/app`,
    ],
    ['of every user', { ...app, user: '*' }, arn.replace(/app$/, '*')],
    ['of every database', { ...app, resourceId: '*' }, arn.replace(resourceId, '*')],
    [
      "of a user's name as it is",
      { ...app, user: `o'Neil "x"/数据:@$` },
      arn.replace(/app$/, () => `o'Neil "x"/数据:@$`),
    ],
  ] as const) {
    it(`names the user ${what}`, () => assert.equal(connectArn(options), expected))
  }

  for (const [what, options, message] of [
    [
      'the name of an instance',
      { ...app, resourceId: 'orders' },
      /^- `resourceId` is not a resource id .*DbiResourceId.*; got "orders"/,
    ],
    [
      'the name of an instance that looks like an id',
      { ...app, resourceId: 'db-orders' },
      /^- `resourceId` is not a resource id/,
    ],
    ['an ARN as id', { ...app, resourceId: arn }, /^- `resourceId` is an ARN/],
    ['an id with a wildcard in it', { ...app, resourceId: 'db-*' }, /^- `resourceId` is not a resource id/],
    [
      'a user with a wildcard in it',
      { ...app, user: 'app_*' },
      /^- `user` has a wildcard in it.*; got "app_\*"/,
    ],
    [
      'a user with a policy variable in it',
      { ...app, user: 'a$' + '{x}' },
      /^- `user` has a policy variable/,
    ],
    ['no user', { ...database }, /^- `user` is missing; give the name of the database user$/],
    ['an empty user', { ...app, user: '' }, /^- `user` is not the name of a database user; got ""/],
    [
      'several users',
      { ...app, user: ['a', 'b'] },
      /^- `user` is not the name of a database user; got an array/,
    ],
    [
      'an account as number',
      { ...app, accountId: 123456789012 },
      /^- `accountId` is not the number .*; got 123456789012 \(number\)/,
    ],
    ['an account with hyphens', { ...app, accountId: '1234-5678-9012' }, /^- `accountId` is not the number/],
    [
      'a Region that is none',
      { ...app, region: 'Ireland' },
      /^- `region` is not the name of a Region, such as eu-west-1; got "Ireland"/,
    ],
    [
      'a partition that is not the Region’s',
      { ...app, partition: 'aws-cn' },
      /^- `partition` is not that of eu-west-1, aws; leave it out; got "aws-cn" \(string\)$/,
    ],
    [
      'a partition that is none',
      { ...app, region: 'xx-future-1', partition: 'arn:aws' },
      /^- `partition` is not the name of a partition, such as aws or aws-cn; got "arn:aws" \(string\)$/,
    ],
    ['an option that is none', { ...app, account: '1' }, /^- `account` is not an option$/],
  ] as const) {
    it(`refuses ${what}`, () => {
      const lines = refusal(() => connectArn(options as never), 'connectArn')
      assert.equal(lines.length, 1, lines.join('\n'))
      assert.match(lines[0] ?? '', message)
    })
  }

  it('names every problem at once', () => {
    assert.equal(refusal(() => connectArn({} as never), 'connectArn').length, 4)
    assert.equal(refusal(() => connectArn(undefined as never), 'connectArn').length, 4)
  })
})

describe('connectPolicy', () => {
  it('allows every user of one group to connect to every database of it, and nothing else', () => {
    const policy = connectPolicy({
      ...database,
      resourceId: [resourceId, 'cluster-X1'],
      user: ['app', 'report', 'app'],
    })
    const resources = ['app', 'report'].flatMap(user => [
      connectArn({ ...database, user }),
      connectArn({ ...database, resourceId: 'cluster-X1', user }),
    ])
    assert.equal(policy.Version, '2012-10-17')
    assert.deepEqual(policy.Statement.length, 1)
    const [statement] = policy.Statement
    assert.deepEqual(Object.keys(statement ?? {}), ['Effect', 'Action', 'Resource'])
    assert.deepEqual([statement?.Effect, statement?.Action], ['Allow', 'rds-db:connect'])
    assert.deepEqual([...(statement?.Resource ?? [])].sort(), resources.sort())
  })

  it('is what the gateway admits exactly these users by', () => {
    const china = { region: 'cn-north-1', accountId: '210987654321', resourceId: 'prx-0a1b' }
    const policy = connectPolicy([app, { ...china, user: '*' }])
    assert.equal(isAdmitted(policy, app), true)
    assert.equal(isAdmitted(policy, { ...app, user: 'App' }), false)
    assert.equal(isAdmitted(policy, { ...app, region: 'us-east-1' }), false)
    assert.equal(isAdmitted(policy, { ...china, user: 'anybody' }), true)
    assert.equal(isAdmitted(policy, { ...china, accountId, user: 'anybody' }), false)
  })

  it('names every problem with its place', () => {
    const groups = [
      { ...database, user: ['app', 'a*'] },
      { ...database, resourceId: ['orders'], user: [] },
    ]
    const lines = refusal(() => connectPolicy(groups), 'connectPolicy')
    assert.equal(lines.length, 3)
    assert.match(lines[0] ?? '', /^- `\[0\]\.user\[1\]` has a wildcard/)
    assert.match(lines[1] ?? '', /^- `\[1\]\.resourceId\[0\]` is not a resource id/)
    assert.match(lines[2] ?? '', /^- `\[1\]\.user` is an empty list/)
    assert.match(refusal(() => connectPolicy([]), 'connectPolicy')[0] ?? '', /empty list/)
    assert.equal(refusal(() => connectPolicy(null as never), 'connectPolicy').length, 5)
  })
})

const problemsOf = ({ problems }: PolicyCheck) => problems.map(({ at, message }) => `${at} ${message}`)
const check = (statement: unknown, options: object = app, more: object = {}) =>
  checkPolicy({ Version: '2012-10-17', Statement: statement, ...more }, options as never)

describe('checkPolicy finds nothing wrong with', () => {
  const cases: Record<string, unknown> = {
    'the very user': allow,
    'what connectPolicy makes': connectPolicy(app).Statement,
    'every user of the database': { ...allow, Resource: arn.replace(/app$/, '*') },
    'every database': { ...allow, Resource: arn.replace(resourceId, '*') },
    'a wildcard for both': { ...allow, Resource: `arn:aws:rds-db:eu-west-1:123456789012:dbuser:*` },
    'wildcards for everything': { ...allow, Action: '*', Resource: '*' },
    'a wildcard in the action': { ...allow, Action: 'rds-db:*' },
    'other permissions beside it': [
      allow,
      { Effect: 'Allow', Action: ['rds:*', 'logs:PutLogEvents'], Resource: '*' },
      {
        Effect: 'Allow',
        Action: 'rds:DescribeDBInstances',
        Resource: 'arn:aws:rds:eu-west-1:123456789012:db:orders',
      },
    ],
    'another user who is denied': [
      allow,
      { ...allow, Effect: 'Deny', Resource: arn.replace(/app$/, 'postgres') },
    ],
    'what NotResource leaves': {
      Effect: 'Allow',
      Action: 'rds-db:connect',
      NotResource: arn.replace(/app$/, 'admin'),
    },
  }
  for (const [what, statement] of Object.entries(cases)) {
    it(what, () => {
      const result = check(statement)
      assert.deepEqual(problemsOf(result), [])
      assert.deepEqual(result.notes, [])
      assert.equal(result.allowed, true)
      assert.match(result.detail, /^statement 1 of the policy allows rds-db:connect on arn:aws:rds-db:/)
      assert.equal(isAdmitted({ Version: '2012-10-17', Statement: statement }, app), true)
    })
  }
})

describe('checkPolicy explains, and the user may not connect,', () => {
  const at = '.Statement.Resource'
  const cases: readonly (readonly [string, unknown, ...(readonly (string | RegExp)[])])[] = [
    [
      'rds-DB for rds-db',
      { ...allow, Resource: arn.replace('rds-db', 'rds-DB') },
      `${at} the service must be "rds-db", got "rds-DB": an ARN is case-sensitive`,
    ],
    [
      'the name of the instance in place of its resource id',
      { ...allow, Resource: arn.replace(resourceId, 'orders') },
      /^\.Statement\.Resource "orders" is not a resource id .*DbiResourceId/,
    ],
    [
      'no user',
      { ...allow, Resource: arn.replace('/app', '') },
      /^\.Statement\.Resource names no user; end it with/,
    ],
    [
      'an empty user',
      { ...allow, Resource: arn.replace('/app', '/') },
      /^\.Statement\.Resource names no user/,
    ],
    [
      'an ARN of rds',
      { ...allow, Resource: arn.replace('rds-db', 'rds') },
      /^\.Statement\.Resource the service must be "rds-db", got "rds"/,
    ],
    [
      "the instance's own ARN",
      { ...allow, Resource: 'arn:aws:rds:eu-west-1:123456789012:db:orders' },
      /the service must be "rds-db", got "rds"/,
      /must go on with "dbuser:" behind the account, got "db:orders"/,
    ],
    [
      'rds:* for rds-db:*',
      { ...allow, Action: 'rds:*' },
      /^\.Statement\.Action "rds:\*" is of rds, the service that manages databases/,
    ],
    [
      'rds:* on everything',
      { ...allow, Action: 'rds:*', Resource: '*' },
      /^\.Statement\.Action "rds:\*" does not cover rds-db:connect/,
    ],
    ['rds:connect', { ...allow, Action: 'rds:connect' }, /^\.Statement\.Action "rds:connect" is of rds/],
    [
      'an action that there is not',
      { ...allow, Action: ['rds-db:Conect'] },
      '.Statement.Action[0] "rds-db:Conect" is no action; rds-db has rds-db:connect alone',
    ],
    [
      'an action of a service that there is not',
      { ...allow, Action: 'rdsdb:connect' },
      /^\.Statement\.Action "rdsdb:connect" is no action; write/,
    ],
    [
      'a user in another case',
      { ...allow, Resource: arn.replace(/app$/, 'App') },
      `${at} is for the user "App", not "app"; upper and lower case differ`,
    ],
    [
      'another user',
      [{ ...allow, Resource: [arn.replace(/app$/, 'report')] }],
      '.Statement[0].Resource[0] is for the user "report", not "app"',
    ],
    [
      'another database, account and Region',
      { ...allow, Resource: 'arn:aws:rds-db:us-east-1:210987654321:dbuser:cluster-X1/app' },
      `${at} is for the Region us-east-1, not eu-west-1; the account 210987654321, not 123456789012; the database cluster-X1, not ${resourceId}`,
    ],
    [
      'a partition that is not that of the Region',
      { ...allow, Resource: arn.replace('eu-west-1', 'cn-north-1') },
      /the Region cn-north-1 is in the partition aws-cn, not aws/,
    ],
    [
      'a partition that there is not',
      { ...allow, Resource: arn.replace('arn:aws:', 'arn:AWS:') },
      /the partition "AWS" does not exist; it is one of aws, aws-cn, aws-eusc, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f, aws-us-gov$/,
    ],
    [
      'a Region of the European Sovereign Cloud in the partition aws',
      { ...allow, Resource: arn.replace(region, 'eusc-de-east-1') },
      /the Region eusc-de-east-1 is in the partition aws-eusc, not aws/,
    ],
    [
      'a partition that nobody has heard of, also of a Region that nobody knows',
      { ...allow, Resource: arn.replace('arn:aws:', 'arn:aws-future:').replace(region, 'xx-future-1') },
      /the partition "aws-future" does not exist/,
    ],
    [
      'no account',
      { ...allow, Resource: arn.replace(accountId, '') },
      `${at} names no account of twelve digits; got ""`,
    ],
    ['no Region', { ...allow, Resource: arn.replace(region, '') }, `${at} names no Region; got ""`],
    [
      'db-user for dbuser',
      { ...allow, Resource: arn.replace('dbuser', 'db-user') },
      /must go on with "dbuser:"/,
    ],
    [
      'a placeholder of CloudFormation',
      {
        ...allow,
        Resource: 'arn:$' + '{AWS::Partition}:rds-db:$' + '{AWS::Region}:123456789012:dbuser:db-X/app',
      },
      /^\.Statement\.Resource has \$\{AWS::Partition\} in it, which only Fn::Sub of CloudFormation puts a value for$/,
    ],
    [
      'a Deny that wins',
      [allow, { Sid: 'Nobody', Effect: 'Deny', Action: '*', Resource: '*' }],
      `.Statement[1] denies rds-db:connect on ${arn}; a Deny wins over every Allow`,
    ],
    [
      'a Deny beside an Allow for somebody else',
      [
        { ...allow, Resource: arn.replace(/app$/, 'x') },
        { ...allow, Effect: 'Deny' },
      ],
      /^\.Statement\[1\] denies/,
      '.Statement[0].Resource is for the user "x", not "app"',
    ],
    [
      'what NotAction leaves out',
      { Effect: 'Allow', NotAction: 'rds-db:*', Resource: '*' },
      '.Statement.NotAction leaves rds-db:connect out of what statement 1 allows',
    ],
    [
      'what NotResource leaves out',
      { Effect: 'Allow', Action: '*', NotResource: arn },
      `.Statement.NotResource leaves ${arn} out of what statement 1 allows`,
    ],
    [
      'nothing about it',
      { Effect: 'Allow', Action: 's3:*', Resource: '*' },
      ` no statement of the policy allows rds-db:connect on ${arn}`,
    ],
    ['no statements', [], '.Statement must have a statement, got []'],
    ...[
      'aws:Referer',
      'aws:SourceIp',
      'aws:SourceVpc',
      'aws:SourceVpce',
      'aws:UserAgent',
      'aws:VpcSourceIp',
      'AWS:sourceip',
    ].map(
      key =>
        [
          `the condition key ${key}`,
          { ...allow, Condition: { StringEquals: { [key]: 'x' } } },
          `.Statement.Condition.StringEquals.${key} is a condition key that IAM database authentication does not support: the statement allows nothing by it`,
        ] as const,
    ),
  ]
  for (const [what, statement, ...expected] of cases) {
    it(what, () => {
      const result = check(statement)
      assert.equal(result.allowed, false)
      const found = problemsOf(result)
      assert.equal(found.length, expected.length, found.join('\n'))
      for (const [index, text] of expected.entries()) {
        if (typeof text === 'string') assert.equal(found[index], text)
        else assert.match(found[index] ?? '', text)
      }
    })
  }

  it('a policy that IAM would not take, whatever it allows', () => {
    for (const [document, message] of [
      [{ Version: '2019-05-20', Statement: allow }, '.Version must be "2012-10-17", got "2019-05-20"'],
      [
        { Version: '2012-10-17', Statement: { ...allow, Effect: 'allow' } },
        '.Statement.Effect must be "Allow" or "Deny", got "allow"',
      ],
      [
        { Version: '2012-10-17', Statement: { ...allow, Principal: '*' } },
        '.Statement.Principal is not an element of a statement in an identity-based policy',
      ],
      [
        { Version: '2012-10-17', Statement: { ...allow, Sid: 'to connect' } },
        '.Statement.Sid must be letters and digits, got "to connect"',
      ],
      [
        {
          Version: '2012-10-17',
          Statement: [
            { ...allow, Sid: 'A' },
            { ...allow, Sid: 'A' },
          ],
        },
        `.Statement[1].Sid is another statement's too: statement "A"`,
      ],
      [
        { Version: '2012-10-17', Statement: { ...allow, Condition: 'x' } },
        '.Statement.Condition must be an object, got "x"',
      ],
      [{ Version: '2012-10-17', statement: allow, Statement: allow }, ' has an unknown element statement'],
      ['{"Version":', ' must be an object with Version and Statement, got "{\\"Version\\":"'],
      [null, ' must be an object with Version and Statement, got null'],
    ] as const) {
      const result = checkPolicy(document, app)
      assert.equal(result.allowed, false)
      assert.equal(problemsOf(result)[0], message)
      assert.equal(result.detail, 'IAM does not take a malformed policy')
    }
  })
})

describe('checkPolicy', () => {
  it('finds every mistake at once', () => {
    const document = {
      Version: '2019-05-20',
      Statement: [
        {
          ...allow,
          Resource: [arn.replace('rds-db', 'rds-DB'), arn.replace(resourceId, 'orders').replace('/app', '')],
        },
        { ...allow, Action: 'rds:*' },
        { ...allow, Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } },
      ],
    }
    const places = checkPolicy(document, app).problems.map(({ at }) => at)
    assert.deepEqual(places, [
      '.Version',
      '.Statement[0].Resource[0]',
      '.Statement[0].Resource[1]',
      '.Statement[0].Resource[1]',
      '.Statement[1].Action',
      '.Statement[2].Condition.IpAddress.aws:SourceIp',
    ])
  })

  it('finds a mistake beside what allows', () => {
    const result = check({ ...allow, Resource: [arn, arn.replace('rds-db', 'rds-DB')] })
    assert.equal(result.allowed, true)
    assert.match(problemsOf(result).join(), /^\.Statement\.Resource\[1\] the service must be "rds-db"/)
  })

  it('looks at all policies of a role together, and says in which it found what', () => {
    const policies = [
      { Version: '2012-10-17', Statement: allow },
      { Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: 'rds-db:*', Resource: '*' }] },
    ]
    const denied = checkPolicy(policies, app)
    assert.equal(denied.detail, `statement 1 of policy 2 denies rds-db:connect on ${arn}`)
    assert.deepEqual(denied.problems, [
      {
        policy: 1,
        at: '.Statement[0]',
        message: `denies rds-db:connect on ${arn}; a Deny wins over every Allow`,
      },
    ])
    assert.equal(checkPolicy(policies.slice(0, 1), app).allowed, true)
    const none = checkPolicy([], app)
    assert.deepEqual([none.allowed, none.problems.length], [false, 1])
  })

  it('takes the Region and the account that the policy names where it is told none, and says so', () => {
    const question = { resourceId, user: 'app' }
    const result = check(allow, question)
    assert.equal(result.allowed, true)
    assert.deepEqual(
      result.notes.map(({ message }) => message),
      [
        'for the Region eu-west-1 and the account 123456789012, as the policy says; give it to have it checked',
      ],
    )
    const everywhere = check(
      { ...allow, Resource: `arn:aws-cn:rds-db:cn-*:*:dbuser:${resourceId}/app` },
      question,
    )
    assert.deepEqual([everywhere.allowed, everywhere.notes], [true, []])
    assert.equal(check(allow, { ...question, region: 'us-east-1' }).allowed, false)
    const misplaced = { ...allow, Resource: arn.replace(region, 'cn-north-1') }
    assert.equal(check(misplaced, question).allowed, false, 'the Region tells the partition')
    assert.equal(check(allow, { ...question, accountId: '210987654321' }).allowed, false)
    assert.equal(check(allow, { ...question, user: 'App' }).allowed, false)
    const elsewhere = check(
      { ...allow, Resource: [arn.replace('/app', '/x'), arn.replace(region, 'us-east-1')] },
      question,
    )
    assert.match(elsewhere.detail, /allows rds-db:connect on arn:aws:rds-db:us-east-1:/)
  })

  it('finds nothing wrong with the partitions that AWS has', () => {
    for (const [place, partition] of [
      ['eusc-de-east-1', 'aws-eusc'],
      ['us-iso-east-1', 'aws-iso'],
      ['us-isof-south-1', 'aws-iso-f'],
    ] as const) {
      const policy = { ...allow, Resource: connectArn({ ...app, region: place }) }
      assert.match(policy.Resource, new RegExp(`^arn:${partition}:`))
      const result = check(policy, { ...app, region: place })
      assert.deepEqual([result.allowed, result.problems, result.notes], [true, [], []])
    }
  })

  it('notes that a Region is not known, and takes its partition from the policy', () => {
    const future = {
      ...allow,
      Resource: arn.replace('arn:aws:', 'arn:aws-eusc:').replace(region, 'xx-future-1'),
    }
    for (const question of [app, { resourceId, user: 'app' }]) {
      const result = check(future, { ...question, ...('region' in question && { region: 'xx-future-1' }) })
      assert.deepEqual([result.allowed, result.problems], [true, []])
      assert.equal(
        result.notes[0]?.message,
        'the Region xx-future-1 is not known here, so nobody has checked that its partition is right',
      )
    }
  })

  it('compares with the partition that it is told for a Region that is not known', () => {
    const question = { ...app, region: 'xx-future-1', partition: 'aws-future' }
    const right = check({ ...allow, Resource: connectArn(question) }, question)
    assert.deepEqual([right.allowed, right.problems, right.notes], [true, [], []])
    const wrong = check({ ...allow, Resource: arn.replace(region, 'xx-future-1') }, question)
    assert.equal(wrong.allowed, false)
    assert.match(problemsOf(wrong).join(), /the Region xx-future-1 is in the partition aws-future, not aws/)
    const lines = refusal(() => check(allow, { ...app, partition: 'aws-cn' }), 'checkPolicy')
    assert.match(lines.join(), /^- `partition` is not that of eu-west-1, aws/)
  })

  it('notes what is denied in another Region than the one it takes', () => {
    const deny = { ...allow, Effect: 'Deny', Resource: 'arn:aws:rds-db:us-east-1:*:dbuser:*' }
    const result = check([{ ...allow, Resource: '*' }, deny], { resourceId, user: 'app' })
    assert.equal(result.allowed, true)
    assert.deepEqual(
      result.notes.map(({ at }) => at),
      ['.Statement[1]'],
    )
    assert.match(
      result.notes[0]?.message ?? '',
      /^denies rds-db:connect on arn:aws:rds-db:us-east-1:.*; give the Region/,
    )
    assert.deepEqual(check([{ ...allow, Resource: '*' }, deny]).notes, [])
  })

  it('refuses questions that have no answer, naming every problem', () => {
    const options = { resourceId: 'orders', user: '', region: 'Ireland', accountId: '1', username: 'x' }
    const lines = refusal(() => checkPolicy({}, options), 'checkPolicy')
    assert.deepEqual(
      lines.map(line => /`(\w+)`/.exec(line)?.[1]),
      ['username', 'resourceId', 'user', 'region', 'accountId'],
    )
    assert.equal(refusal(() => checkPolicy({}, {} as never), 'checkPolicy').length, 2)
  })
})
