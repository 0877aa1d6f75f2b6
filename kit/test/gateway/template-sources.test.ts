import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RdsIamError } from '../../../src/errors/rds-iam-error.ts'
import { parseTemplate, readTemplatePolicy, type TemplatePolicyOptions } from '../../src/index.ts'

const region = 'eu-west-1'
const arn = (resourceId: string, user = 'app') =>
  `arn:aws:rds-db:eu-west-1:123456789012:dbuser:${resourceId}/${user}`
const prefix = `arn:\${AWS::Partition}:rds-db:\${AWS::Region}:\${AWS::AccountId}:dbuser:`

/** A template whose role has one statement, whose resource is given in YAML. */
const templateWith = (resource: string, more = '') =>
  parseTemplate(`
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Version: "2012-10-17"
            Statement: { Effect: Allow, Action: rds-db:connect, Resource: ${resource} }
${more}`)

type Given = Partial<TemplatePolicyOptions>

function resourcesOf(template: ReturnType<typeof parseTemplate>, given: Given = {}): unknown[] {
  const { Statement } = readTemplatePolicy(template, { region, ...given })
  return (Statement as { Resource: unknown }[]).map(({ Resource }) => Resource)
}

function assertRefused(template: ReturnType<typeof parseTemplate>, message: RegExp, given: Given = {}): void {
  assert.throws(
    () => readTemplatePolicy(template, { region, ...given }),
    (error: unknown) => {
      assert.ok(error instanceof RdsIamError, String(error))
      assert.match(error.message, message)
      return true
    },
  )
}

describe('a name of a database in place of its resource id is refused, whatever value is given:', () => {
  const database = (type: string) => `  Db: { Type: AWS::RDS::${type} }`
  for (const [what, type, resource, message] of [
    ['Ref of a cluster', 'DBCluster', `!Sub "${prefix}\${Db}/app"`, /write !GetAtt Db\.DBClusterResourceId$/],
    [
      'Ref of an instance',
      'DBInstance',
      `!Sub "${prefix}\${Db}/*"`,
      /Db is not the resource id .* !GetAtt Db\.DbiResourceId$/,
    ],
    [
      'the identifier of an instance',
      'DBInstance',
      `!Sub "${prefix}\${Db.DBInstanceIdentifier}/app"`,
      /Db\.DBInstanceIdentifier is not the resource id .*: write !GetAtt Db\.DbiResourceId$/,
    ],
    [
      'the ARN of a cluster',
      'DBCluster',
      `!Sub "${prefix}\${Db.DBClusterArn}/app"`,
      /write !GetAtt Db\.DBClusterResourceId/,
    ],
    [
      'Ref of a proxy',
      'DBProxy',
      `!Sub "${prefix}\${Db}/app"`,
      /the prx-… part of its ARN, !Select \[6, .*!GetAtt Db\.DBProxyArn/,
    ],
    [
      "a proxy's endpoint",
      'DBProxyEndpoint',
      `!Sub "${prefix}\${Db}/app"`,
      /the prx-… part of the proxy's ARN/,
    ],
    [
      'a global cluster',
      'GlobalCluster',
      `!Sub "${prefix}\${Db}/app"`,
      /DBClusterResourceId of each of its clusters/,
    ],
    [
      'by Fn::Join',
      'DBInstance',
      `!Join [":", ["arn:aws:rds-db", "*", "*", "dbuser", !Join ["/", [!Ref Db, app]]]]`,
      /DbiResourceId/,
    ],
    [
      'by a name of Fn::Sub',
      'DBCluster',
      `!Sub ["${prefix}\${Id}/app", { Id: !Ref Db }]`,
      /DBClusterResourceId/,
    ],
    [
      'by Fn::Select and Fn::Split',
      'DBCluster',
      `!Sub ["${prefix}\${Id}/app", { Id: !Select [0, !Split [":", !Ref Db]] }]`,
      /DBClusterResourceId/,
    ],
    ['in a list', 'DBCluster', `["${arn('db-A')}", !Sub "${prefix}\${Db}/app"]`, /DBClusterResourceId/],
  ] as const) {
    it(what, () => {
      const template = templateWith(resource, database(type))
      const parameters = { Db: 'db-ABC', 'Db.DBInstanceIdentifier': 'db-ABC', 'Db.DBClusterArn': 'db-ABC' }
      assertRefused(template, message, { parameters })
      assertRefused(template, message)
    })
  }

  it('also from another stack', () => {
    const other = parseTemplate(`
Resources: { Db: { Type: AWS::RDS::DBCluster } }
Outputs: { Id: { Value: !Ref Db, Export: { Name: db-Id } } }`)
    const template = templateWith(`!Sub ["${prefix}\${Id}/app", { Id: !ImportValue db-Id }]`)
    const stacks = [{ name: 'db', template: other, parameters: { Db: 'cluster-ABC' } }]
    assertRefused(template, /db: Outputs\.Id\.Value\.Ref: Db is not the resource id .*DBClusterResourceId/, {
      stacks,
    })
  })

  it('but not behind the slash, nor in an ARN of rds, where a value is asked for', () => {
    const user = templateWith(`!Sub "${prefix}db-A/\${Db}"`, database('DBInstance'))
    assert.deepEqual(resourcesOf(user, { parameters: { Db: 'orders' } }), [arn('db-A', 'orders')])
    assertRefused(user, /Db is not known: give its value with --parameter Db=…/)
    const both = templateWith(`["${arn('db-A')}", !Sub "arn:aws:rds:*:*:db:\${Db}"]`, database('DBInstance'))
    assert.deepEqual(resourcesOf(both, { parameters: { Db: 'orders' } }), [
      [arn('db-A'), 'arn:aws:rds:*:*:db:orders'],
    ])
  })

  it('and the attribute that is right is taken', () => {
    for (const [type, attribute] of [
      ['DBInstance', 'DbiResourceId'],
      ['DBCluster', 'DBClusterResourceId'],
    ]) {
      const template = templateWith(`!Sub "${prefix}\${Db.${attribute}}/app"`, database(String(type)))
      assert.deepEqual(resourcesOf(template, { parameters: { [`Db.${attribute}`]: 'db-ABC' } }), [
        arn('db-ABC'),
      ])
    }
  })

  it("and a proxy's whole ARN is refused with the part that is right", () => {
    const template = templateWith(`!Sub "${prefix}\${Db.DBProxyArn}/app"`, database('DBProxy'))
    const parameters = { 'Db.DBProxyArn': 'arn:aws:rds:eu-west-1:123456789012:db-proxy:prx-ABC' }
    assertRefused(template, /has a whole ARN in it: take the prx-… part of it/, { parameters })
  })
})

describe('Fn::ImportValue', () => {
  const template = templateWith(`!Sub ["${prefix}\${Id}/app", { Id: !ImportValue "db-stack-Id" }]`)
  const other = parseTemplate(`
Parameters: { Stage: { Type: String, Default: dev } }
Conditions: { IsLive: !Equals [!Ref Stage, live] }
Resources: { Db: { Type: AWS::RDS::DBInstance } }
Outputs:
  NotExported: { Value: !Ref Missing }
  Live: { Condition: IsLive, Value: db-LIVE, Export: { Name: !Sub "\${AWS::StackName}-Id" } }
  Id: { Value: !GetAtt Db.DbiResourceId, Export: { Name: !Sub "\${AWS::StackName}-Id" } }`)

  it('takes the value that is given for the export', () => {
    assert.deepEqual(resourcesOf(template, { imports: { 'db-stack-Id': 'db-GIVEN' } }), [arn('db-GIVEN')])
  })

  it('takes an output of another stack, evaluated with the parameters of that one', () => {
    const stack = (parameters: Record<string, string>) => ({
      stacks: [
        { name: 'network', template: parseTemplate('Resources: {}') },
        { name: 'db-stack', template: other, parameters },
      ],
    })
    const parameters = { 'Db.DbiResourceId': 'db-OTHER' }
    assert.deepEqual(resourcesOf(template, stack(parameters)), [arn('db-OTHER')])
    assert.deepEqual(resourcesOf(template, stack({ ...parameters, Stage: 'live' })), [arn('db-LIVE')])
    assertRefused(
      template,
      /db-stack: Outputs\.Id\.Value.*: give its value with --parameter db-stack\/Db\.DbiResourceId=…/,
      stack({}),
    )
    assertRefused(template, /there is no Stge to give a value to/, stack({ Stge: 'live' }))
  })

  it('names the export without a value, and the options that give it', () => {
    for (const stacks of [[], [{ name: 'elsewhere', template: other }]])
      assertRefused(
        template,
        /the export db-stack-Id has no value: give it with --import 'db-stack-Id=…', or the template of the stack that exports it with --stack$/,
        { stacks },
      )
  })

  it('takes a name that is made of others, as a list of the CDK has it', () => {
    const made = templateWith(
      `!Sub ["${prefix}\${Id}/app", { Id: !ImportValue { "Fn::Sub": "\${AWS::StackName}-Id" } }]`,
    )
    assert.deepEqual(resourcesOf(made, { imports: { 'local-Id': 'db-A' } }), [arn('db-A')])
    const parameters = { 'AWS::StackName': 'orders' }
    assert.deepEqual(resourcesOf(made, { imports: { 'orders-Id': 'db-B' }, parameters }), [arn('db-B')])
  })

  it('says which export depends on itself', () => {
    const circle = parseTemplate(`
Resources: {}
Outputs: { Id: { Value: !ImportValue db-stack-Id, Export: { Name: db-stack-Id } } }`)
    assertRefused(template, /the export db-stack-Id depends on itself/, {
      stacks: [{ name: 's', template: circle }],
    })
  })
})

describe('Fn::GetStackOutput', () => {
  // As the CDK writes it for new projects, whose references between stacks are weak.
  const reading = (more = 'Region: !Ref AWS::Region', output = 'InstanceId') => {
    const read = `{ "Fn::GetStackOutput": { StackName: Database, OutputName: ${output}, ${more} } }`
    return templateWith(`!Join ["", [!Sub "${prefix}", ${read}, /app]]`)
  }
  const other = parseTemplate(`
Parameters: { Stage: { Type: String, Default: dev } }
Conditions: { IsLive: !Equals [!Ref Stage, live] }
Resources: { Db: { Type: AWS::RDS::DBInstance } }
Outputs:
  InstanceName: { Value: !Ref Db }
  InstanceId: { Value: !GetAtt Db.DbiResourceId }
  LiveId: { Value: !GetAtt Db.DbiResourceId, Condition: IsLive }`)
  const parameters = { 'Db.DbiResourceId': 'db-OTHER' }
  const stacks = [
    { name: 'Network', template: parseTemplate('Resources: {}') },
    { name: 'Database', template: other, parameters },
  ]

  it('takes the value that is given for the output of a stack', () => {
    const imports = { 'Database/InstanceId': 'db-GIVEN' }
    assert.deepEqual(resourcesOf(reading(), { imports }), [arn('db-GIVEN')])
    assert.deepEqual(resourcesOf(reading(), { imports, stacks }), [arn('db-GIVEN')])
  })

  it('takes an output of another stack, which need not be exported', () => {
    assert.deepEqual(resourcesOf(reading(), { stacks }), [arn('db-OTHER')])
    const short = templateWith(
      `!Join ["", [!Sub "${prefix}", !GetStackOutput { StackName: Database, OutputName: InstanceId }, /app]]`,
    )
    assert.deepEqual(resourcesOf(short, { stacks }), [arn('db-OTHER')])
  })

  it('names the output without a value, and the options that give it', () => {
    const missing =
      /InstanceId of the stack Database has no value: give it with --import 'Database\/InstanceId=…', or the template of the stack with --stack$/
    assertRefused(reading(), missing)
    assertRefused(reading(), missing, { stacks: stacks.slice(0, 1) })
    assertRefused(reading(), missing, { imports: { InstanceId: 'db-GIVEN' } })
    assertRefused(reading(), missing, {
      stacks: [{ name: 'Database', template: parseTemplate('Resources: {}') }],
    })
    const live = (Stage: string) => ({
      stacks: [{ name: 'Database', template: other, parameters: { ...parameters, Stage } }],
    })
    const conditional = reading('Region: eu-west-1', 'LiveId')
    assert.deepEqual(resourcesOf(conditional, live('live')), [arn('db-OTHER')])
    assertRefused(conditional, /LiveId of the stack Database has no value/, live('dev'))
  })

  it("asks for the value where the stack is another Region's or account's, whose template says less", () => {
    for (const more of ['Region: us-east-1', 'RoleArn: "arn:aws:iam::111122223333:role/outputs"']) {
      assertRefused(
        reading(more),
        /another Region or account: give its value with --import 'Database\/InstanceId=…'$/,
        { stacks },
      )
      const imports = { 'Database/InstanceId': 'db-GIVEN' }
      assert.deepEqual(resourcesOf(reading(more), { imports, stacks }), [arn('db-GIVEN')])
    }
  })

  it("refuses a database's name that another stack puts out, and what is no reference", () => {
    assertRefused(
      reading('Region: eu-west-1', 'InstanceName'),
      /Db is not the resource id .*: write !GetAtt Db\.DbiResourceId$/,
      { stacks },
    )
    const list = templateWith('{ "Fn::GetStackOutput": [Database, InstanceId] }')
    assertRefused(
      list,
      /Fn::GetStackOutput: takes StackName and OutputName, got \["Database","InstanceId"\]$/,
      { stacks },
    )
  })

  it('says which output depends on itself', () => {
    const circle = parseTemplate(`
Resources: {}
Outputs: { InstanceId: { Value: !GetStackOutput { StackName: Database, OutputName: InstanceId } } }`)
    assertRefused(reading(), /the output InstanceId of the stack Database depends on itself/, {
      stacks: [{ name: 'Database', template: circle }],
    })
  })
})

describe('what CloudFormation looks up is asked for, never taken as it stands:', () => {
  const parameter = (type: string) => `Parameters: { Id: { Type: "${type}", Default: /db/id } }`
  for (const type of ['AWS::SSM::Parameter::Value<String>', 'AWS::SSM::Parameter::Value<List<String>>']) {
    it(`a parameter of the type ${type}`, () => {
      const resource = type.includes('List') ? '!Ref Id' : `!Sub "${prefix}\${Id}/app"`
      const template = templateWith(resource, parameter(type))
      assertRefused(template, /Id is read from \/db\/id in SSM: give its value with --parameter Id=…/)
      assertRefused(template, /\/db\/id is where/, { parameters: { Id: '/db/id' } })
      const value = type.includes('List') ? `${arn('db-A')}, ${arn('db-B')}` : 'db-A'
      assert.deepEqual(resourcesOf(template, { parameters: { Id: value } }), [
        type.includes('List') ? [arn('db-A'), arn('db-B')] : arn('db-A'),
      ])
    })
  }

  it('but the name of a parameter in SSM is what it is', () => {
    const template = templateWith(`!Sub "${prefix}db-A\${Id}"`, parameter('AWS::SSM::Parameter::Name'))
    assert.deepEqual(resourcesOf(template), [arn('db-A', 'db/id')])
  })

  for (const reference of ['resolve:ssm:/db/id:1', 'resolve:secretsmanager:db:SecretString:id']) {
    it(reference, () => {
      const template = templateWith(`!Sub "${prefix}{{${reference}}}/app"`)
      assertRefused(
        template,
        new RegExp(`\\{\\{${reference}\\}\\} is looked up .* --parameter '${reference}=…'`),
      )
      assert.deepEqual(resourcesOf(template, { parameters: { [reference]: 'db-A' } }), [arn('db-A')])
    })
  }

  it('a reference that is made of others, and one in a condition', () => {
    const more = 'Conditions: { Live: !Equals ["{{resolve:ssm:stage}}", live] }'
    const template = templateWith(
      `!If [Live, !Join ["", ["${prefix.replace(/\$.*?\}/g, '*')}", "{{resolve:", "ssm:id}}/app"]], x]`,
      more,
    )
    const parameters = { 'resolve:ssm:stage': 'live', 'resolve:ssm:id': 'db-A' }
    assert.deepEqual(resourcesOf(template, { parameters }), ['arn:*:rds-db:*:*:dbuser:db-A/app'])
    assertRefused(template, /resolve:ssm:stage/)
  })
})

describe('a loop', () => {
  it('makes roles, statements and conditions of a list', () => {
    const template = parseTemplate(`
Transform: AWS::LanguageExtensions
Parameters: { Users: { Type: CommaDelimitedList, Default: "app, report-x" } }
Resources:
  Fn::ForEach::Roles:
    - User
    - !Ref Users
    - "Role&{User}":
        Type: AWS::IAM::Role
        Properties:
          Policies:
            - PolicyDocument:
                Version: "2012-10-17"
                Statement:
                  - { Effect: Allow, Action: rds-db:connect, Resource: !Sub "${prefix}db-A/\${User}" }
                  - { Effect: Allow, Action: rds-db:connect, Resource: !Sub ["${prefix}db-B/\${Own}", { Own: !Ref User }] }`)
    assert.deepEqual(resourcesOf(template, { role: 'Roleapp' }), [arn('db-A'), arn('db-B')])
    assert.deepEqual(resourcesOf(template, { role: 'Rolereportx' }), [
      arn('db-A', 'report-x'),
      arn('db-B', 'report-x'),
    ])
    assertRefused(template, /Roleapp and Rolereportx may connect/)
  })

  it('within a loop goes through both, and one over no list is refused', () => {
    const loop = (inner: string) =>
      parseTemplate(`
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: { Policies: [{ PolicyDocument: { Version: "2012-10-17", Statement: !Ref X } }] }
  "Fn::ForEach::Ids":
    - Id
    - [A, B]
    - "Fn::ForEach::Users":
        - User
        - ${inner}
        - "\${User}\${Id}":
            Type: AWS::IAM::Policy
            Properties: { Roles: [elsewhere], PolicyDocument: { Version: "2012-10-17", Statement: { Effect: Allow, Action: rds-db:connect, Resource: !Sub "${prefix}db-\${Id}/\${User}" } } }`)
    const expected = ['A', 'B'].flatMap(id => ['a', 'b'].map(user => arn(`db-${id}`, user)))
    assert.deepEqual(resourcesOf(loop('[a, b]'), { role: 'elsewhere' }), expected)
    assertRefused(loop('a'), /Fn::ForEach::Users: takes a name, a list and an object for each item/)
  })
})

describe('functions', () => {
  it('Fn::FindInMap with a default value', () => {
    const id = `!FindInMap [Databases, !Ref AWS::Region, Id, { DefaultValue: !Sub "db-\${AWS::AccountId}" }]`
    const template = templateWith(
      `!Sub ["${prefix}\${Id}/app", { Id: ${id} }]`,
      'Mappings: { Databases: { us-east-1: { Id: db-US } } }',
    )
    assert.deepEqual(resourcesOf(template), [arn('db-123456789012')])
    assert.deepEqual(resourcesOf(template, { region: 'us-east-1' }), [
      arn('db-US').replace('eu-west-1', 'us-east-1'),
    ])
  })

  it('a list of parameters', () => {
    const template = templateWith(
      '!Split [",", !Join [",", !Ref Arns]]',
      `Parameters: { Arns: { Type: List<String>, Default: "${arn('db-A')},${arn('db-B')}" } }`,
    )
    assert.deepEqual(resourcesOf(template), [[arn('db-A'), arn('db-B')]])
  })

  it('an included text is asked for', () => {
    const template = templateWith('!Transform { Name: AWS::Include, Parameters: { Location: s3://a/b } }')
    assertRefused(template, /Fn::Transform cannot be evaluated here: put what it gives in its place/)
  })
})

describe('the version of a policy', () => {
  const withVersion = (version: string) =>
    parseTemplate(`
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies: [{ PolicyDocument: { ${version} Statement: { Effect: Allow, Action: rds-db:connect, Resource: "arn:aws:rds-db:*:*:dbuser:db-A/\${aws:username, 'app'}" } } }]`)

  it('decides whether its variables are what they are', () => {
    const text = `arn:aws:rds-db:*:*:dbuser:db-A/\${aws:username, 'app'}`
    assert.deepEqual(resourcesOf(withVersion('Version: 2012-10-17,')), [text])
    for (const version of ['', 'Version: 2008-10-17,'])
      assert.deepEqual(resourcesOf(withVersion(version)), [text.replace('$', () => '$' + '{$}')])
  })

  it('that does not exist is refused', () => {
    assertRefused(
      withVersion('Version: 2012-10-71,'),
      /Policies\[0\]\.Version: must be "2012-10-17", got "2012-10-71"/,
    )
  })
})
