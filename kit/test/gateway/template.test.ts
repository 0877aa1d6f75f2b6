import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTemplate } from '../../../local/template.ts'
import { RdsIamError } from '../../../src/errors/rds-iam-error.ts'
import { parseTemplate, readTemplatePolicy, type TemplatePolicyOptions } from '../../src/index.ts'

const options: TemplatePolicyOptions = { region: 'eu-west-1' }
const arn = (resourceId: string, user: string) =>
  `arn:aws:rds-db:eu-west-1:123456789012:dbuser:${resourceId}/${user}`

/** A template whose role has one statement, whose resource is given in YAML. */
function templateWith(resource: string, more = ''): ReturnType<typeof parseTemplate> {
  return parseTemplate(`
Parameters:
  User: { Type: String, Default: app }
  Id: { Type: String }
Mappings:
  Databases:
    eu-west-1: { Id: db-MAPPED }
Conditions:
  IsApp: !Equals [!Ref User, app]
  IsOther: !Not [!Condition IsApp]
  Both: !And [!Condition IsApp, !Condition IsOther]
  Either: !Or [!Condition IsApp, !Condition IsOther]
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: rds-db:connect
                Resource: ${resource}
${more}`)
}

function resourcesOf(
  template: ReturnType<typeof parseTemplate>,
  given: Partial<TemplatePolicyOptions> = {},
): unknown {
  const { Statement } = readTemplatePolicy(template, { ...options, ...given })
  return (Statement as { Resource: unknown }[]).map(({ Resource }) => Resource)
}

const prefix = `arn:\${AWS::Partition}:rds-db:\${AWS::Region}:\${AWS::AccountId}:dbuser:`
for (const [title, resource, expected] of [
  ['a text', arn('db-A', 'app'), arn('db-A', 'app')],
  ['!Sub with parameters', `!Sub ${prefix}\${Id}/\${User}`, arn('db-GIVEN', 'app')],
  ['!Sub with an attribute', `!Sub ${prefix}\${Database.DbiResourceId}/\${User}`, arn('db-ATTRIBUTE', 'app')],
  ['!Sub with names of its own', `!Sub [ "${prefix}\${Own}/app", { Own: !Ref Id } ]`, arn('db-GIVEN', 'app')],
  ['!Sub with a literal', `!Sub ${prefix}\${Id}/\${!aws:username}`, arn('db-GIVEN', `\${aws:username}`)],
  ['the long form', `{ "Fn::Sub": "${prefix}\${Id}/app" }`, arn('db-GIVEN', 'app')],
  ['!Join', `!Join ["", ["${arn('db-A', '')}", !Ref User]]`, arn('db-A', 'app')],
  ['!If that is true', `!If [IsApp, ${arn('db-A', 'app')}, ${arn('db-B', 'app')}]`, arn('db-A', 'app')],
  ['!If that is not', `!If [Both, ${arn('db-A', 'app')}, ${arn('db-B', 'app')}]`, arn('db-B', 'app')],
  ['!If of either', `!If [Either, ${arn('db-A', 'app')}, ${arn('db-B', 'app')}]`, arn('db-A', 'app')],
  [
    'a list with what is left out',
    `[ ${arn('db-A', 'app')}, !If [IsOther, x, !Ref AWS::NoValue] ]`,
    [arn('db-A', 'app')],
  ],
  [
    '!FindInMap',
    `!Sub [ "${prefix}\${Own}/app", { Own: !FindInMap [Databases, !Ref AWS::Region, Id] } ]`,
    arn('db-MAPPED', 'app'),
  ],
  [
    'a proxy by !Select and !Split',
    `!Sub [ "${prefix}\${Own}/app", { Own: !Select [6, !Split [":", !GetAtt Proxy.DBProxyArn]] } ]`,
    arn('prx-PROXY', 'app'),
  ],
] as const) {
  test(`evaluates ${title}`, () => {
    const parameters = {
      Id: 'db-GIVEN',
      'Database.DbiResourceId': 'db-ATTRIBUTE',
      'Proxy.DBProxyArn': 'arn:aws:rds:eu-west-1:123456789012:db-proxy:prx-PROXY',
    }
    assert.deepEqual(resourcesOf(templateWith(resource), { parameters }), [expected])
  })
}

test('knows the partition of the Region', () => {
  const template = templateWith(`!Sub ${prefix}db-A/app`)
  assert.deepEqual(resourcesOf(template, { region: 'cn-north-1' }), [
    'arn:aws-cn:rds-db:cn-north-1:123456789012:dbuser:db-A/app',
  ])
})

test('knows the partition and the suffix of the European Sovereign Cloud', () => {
  const region = 'eusc-de-east-1'
  const template = templateWith(`!Sub ${prefix}db-A/app.\${AWS::URLSuffix}`)
  assert.deepEqual(resourcesOf(template, { region }), [
    `arn:aws-eusc:rds-db:${region}:123456789012:dbuser:db-A/app.amazonaws.eu`,
  ])
})

test('takes the partition that it is told for a Region that nobody knows yet', () => {
  const template = templateWith(`!Sub ${prefix}db-A/app`)
  const region = 'xx-future-1'
  const resource = `rds-db:${region}:123456789012:dbuser:db-A/app`
  assert.deepEqual(resourcesOf(template, { region }), [`arn:aws:${resource}`])
  assert.deepEqual(resourcesOf(template, { region, partition: 'aws-future' }), [`arn:aws-future:${resource}`])
})

test('refuses an alias within its own anchor', () => {
  assert.throws(() => parseTemplate('Resources: &all { Role: { Properties: *all } }'), /circular/)
})

for (const [title, template, message] of [
  [
    'a name that every object has',
    templateWith('!Ref toString'),
    /Resource\.Ref: toString is not known: give its value with --parameter toString=/,
  ],
  [
    'a parameter without a value',
    templateWith('!Ref Id'),
    /Resources\.Role\.Policies\[0\]\.Statement\[0\]\.Resource\.Ref: Id is a parameter without a default: give its value with --parameter Id=/,
  ],
  [
    'an attribute without a value',
    templateWith('!GetAtt Database.DbiResourceId'),
    /Resource\.Fn::GetAtt: Database\.DbiResourceId is not known: give its value with --parameter Database\.DbiResourceId=/,
  ],
  [
    'a function that only AWS can evaluate',
    templateWith('!GetAZs eu-west-1'),
    /Resource: Fn::GetAZs cannot be evaluated here: put what it gives in its place/,
  ],
  ['a condition that there is none of', templateWith('!If [Gone, a, b]'), /there is no condition Gone/],
  ['a !Join of no list', templateWith('!Join ["", text]'), /Fn::Join: takes a list to join, got "text"/],
  ['an !If of two', templateWith('!If [IsApp, a]'), /Fn::If: takes a list of 3/],
  [
    'a !Select beyond the end',
    templateWith('!Select [6, !Split [":", "a:b"]]'),
    /Fn::Select: there is no item 6 in \["a","b"\]/,
  ],
  [
    'a mapping that there is none of',
    templateWith('!FindInMap [Databases, nowhere, Id]'),
    /Mappings has no Databases\.nowhere\.Id/,
  ],
  ['a template without resources', parseTemplate('Parameters: {}'), /Resources: there are none/],
  [
    'a template in which nobody may connect',
    parseTemplate('Resources: { Topic: { Type: AWS::SNS::Topic, Properties: {} } }'),
    /no role has a statement for rds-db:connect/,
  ],
  ['no template at all', parseTemplate('just a text'), /Resources: there are none/],
] as const) {
  test(`says where and what is wrong: ${title}`, () => {
    assert.throws(
      () => readTemplatePolicy(template, options),
      (error: unknown) => {
        assert.ok(error instanceof RdsIamError)
        assert.equal(error.code, 'RDS_IAM_OPTIONS')
        assert.match(error.message, message)
        return true
      },
    )
  })
}

test('says which condition depends on itself', () => {
  const template = parseTemplate(`
Conditions: { A: !Not [!Condition B], B: !Or [!Condition A, !Condition A] }
Resources: { Role: { Type: AWS::IAM::Role, Condition: A, Properties: {} } }`)
  assert.throws(
    () => readTemplatePolicy(template, options),
    /The template cannot be used: Conditions\.B\.Fn::Or\[0\]: the condition A depends on itself/,
  )
})

test('refuses a tag that is not of CloudFormation, with its line', () => {
  assert.throws(() => parseTemplate('Resources:\n  Role: !Rfe Name'), /!Rfe at line 2/)
})

test('refuses a value for a parameter that there is none of, whose default would be taken without a word', () => {
  const parameters = { Id: 'db-GIVEN', Usr: 'other' }
  assert.throws(
    () => readTemplatePolicy(templateWith('!Ref Id'), { ...options, parameters }),
    /Parameters: there is no Usr to give a value to/,
  )
})

const allow = '{ Effect: Allow, Action: rds-db:connect, Resource: "*" }'
const deny = '{ Effect: Deny, Action: rds-db:connect, Resource: x }'
for (const [title, policies] of [
  ['statement', `[{ PolicyDocument: { Statement: [${allow}, !If [Yes, ${deny}, !Ref AWS::NoValue]] } }]`],
  ['list of statements', `[{ PolicyDocument: { Statement: !If [No, ${allow}, [${allow}, ${deny}]] } }]`],
  ['document', `[{ PolicyDocument: !If [Yes, { Statement: [${allow}, ${deny}] }, !Ref Missing] }]`],
  [
    'policy',
    `[!If [Yes, { PolicyDocument: { Statement: ${allow} } }, !Ref AWS::NoValue], { PolicyDocument: { Statement: ${deny} } }]`,
  ],
  [
    'list of policies',
    `!If [No, !Ref AWS::NoValue, [{ PolicyDocument: { Statement: [${allow}, ${deny}] } }]]`,
  ],
] as const) {
  test(`takes the ${title} that a condition leaves, and so no Deny is passed over`, () => {
    const template = parseTemplate(`
Conditions: { Yes: !Equals [a, a], No: !Not [!Condition Yes] }
Resources: { Role: { Type: AWS::IAM::Role, Properties: { Policies: ${policies} } } }`)
    assert.deepEqual(resourcesOf(template), ['*', 'x'])
  })
}

test('does not pass over a statement that only AWS can make', () => {
  const policies = '[{ PolicyDocument: { Statement: !Transform { Name: AWS::Include } } }]'
  const template = parseTemplate(
    `Resources: { Role: { Type: AWS::IAM::Role, Properties: { Policies: ${policies} } } }`,
  )
  assert.throws(
    () => resourcesOf(template),
    /Policies\[0\]\.Statement\[0\]: Fn::Transform cannot be evaluated here/,
  )
})

test('takes a managed policy that a role or a function attaches itself', () => {
  const policyOf = (statement: string) =>
    `{ Type: AWS::IAM::ManagedPolicy, Properties: { PolicyDocument: { Statement: ${statement} } } }`
  const template = parseTemplate(`
Conditions: { Never: !Equals [a, b] }
Resources:
  May: ${policyOf(allow)}
  MayNot: ${policyOf(deny)}
  Role: { Type: AWS::IAM::Role, Properties: { ManagedPolicyArns: [!Ref May, !GetAtt MayNot.PolicyArn] } }
  Function: { Type: AWS::Serverless::Function, Properties: { Policies: [AWSLambdaBasicExecutionRole, !Ref May] } }
  Elsewhere: { Type: AWS::IAM::Role, Condition: Never, Properties: { ManagedPolicyArns: [!Ref May] } }`)
  assert.deepEqual(resourcesOf(template, { role: 'Role' }), ['*', 'x'])
  assert.deepEqual(resourcesOf(template, { role: 'Function' }), ['*'])
  assert.throws(() => resourcesOf(template), /: Role and Function may connect/)
})

const secondRole = `
  Admin:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument: { Statement: { Effect: Allow, Action: "rds-db:*", Resource: "*" } }
        - PolicyDocument: { Statement: { Effect: Allow, Action: s3:GetObject, Resource: !GetAtt Bucket.Arn } }
  Function:
    Type: AWS::Serverless::Function
    Properties: { Role: !GetAtt Admin.Arn, Policies: [AWSLambdaBasicExecutionRole, SQSPollerPolicy: {}] }
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Policies: [{ Statement: [{ Effect: Deny, Action: "*", Resource: "*" }] }]
  Attached:
    Type: AWS::IAM::ManagedPolicy
    Properties: { Roles: [!Ref Admin], PolicyDocument: { Statement: [{ Effect: Deny, NotAction: s3:*, Resource: "x" }] } }
  Elsewhere:
    Type: AWS::IAM::Role
    Condition: IsOther
    Properties: { Policies: [{ PolicyDocument: { Statement: { Effect: Allow, Action: rds-db:connect, Resource: "*" } } }] }
`

test('asks which role is meant where several may connect, and takes the statements of that one alone', () => {
  const template = templateWith(arn('db-A', 'app'), secondRole)
  assert.throws(() => resourcesOf(template), /Role and Admin and Worker may connect: say which is meant/)
  assert.deepEqual(resourcesOf(template, { role: 'Role' }), [arn('db-A', 'app')])
  // The policy that is attached to it too, and neither what is for S3 alone.
  assert.deepEqual(resourcesOf(template, { role: 'Admin' }), ['*', 'x'])
  assert.deepEqual(resourcesOf(template, { role: 'Function' }), ['*', 'x'])
  assert.deepEqual(resourcesOf(template, { role: 'Worker' }), ['*'])
  assert.throws(
    () => resourcesOf(template, { role: 'Gone' }),
    /Resources\.Gone: there is no such role or function/,
  )
  assert.throws(
    () => resourcesOf(template, { role: 'Elsewhere' }),
    /Elsewhere: has no statement for rds-db:connect/,
  )
})

test("takes the project's own policy out of its template", () => {
  const parameters = {
    CreateDatabase: 'false',
    DbiResourceId: 'db-ABCDEFGHIJKL01234',
    DatabaseUser: 'notes_app',
  }
  const own = readTemplate()
  for (const role of ['PostgresNotesFunction', 'MysqlNotesFunction', 'NotesRole', undefined]) {
    const Engine = role === 'MysqlNotesFunction' ? 'mysql' : 'postgres'
    assert.deepEqual(readTemplatePolicy(own, { ...options, role, parameters: { ...parameters, Engine } }), {
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: 'rds-db:connect', Resource: [arn('db-ABCDEFGHIJKL01234', 'notes_app')] },
      ],
    })
  }
})
