import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { keepDatabaseNames } from '../../kit/src/gateway/database-names.ts'
import { evaluatorOf } from '../../kit/src/gateway/intrinsics.ts'
import { parseTemplate } from '../../kit/src/gateway/template-file.ts'
import {
  type FunctionName,
  type FunctionResource,
  type Resource,
  readTemplate,
  root,
} from '../../local/template.ts'
import { readPage } from '../support/pages.ts'

const template = readTemplate()
const { Resources } = template
const notes = {
  PostgresNotesFunction: 'sample/notes-postgres.ts',
  MysqlNotesFunction: 'sample/notes-mysql.ts',
}
const functionNames = [
  'PostgresNotesFunction',
  'MysqlNotesFunction',
  'DatabaseUserFunction',
  'DatabaseUserSqlFunction',
] as const

/** A test for each function. */
function testEach<Name extends FunctionName>(
  title: string,
  names: readonly Name[],
  check: (resource: FunctionResource, name: Name) => void,
): void {
  for (const name of names) test(`${name}: ${title}`, () => check(Resources[name], name))
}

const notesNames = ['PostgresNotesFunction', 'MysqlNotesFunction'] as const

/** A function in docs/database-user.md, which has what `Globals` has in the template, and policies in place of a role. */
interface ShownFunction extends Omit<FunctionResource['Properties'], 'Role'> {
  readonly EventInvokeConfig?: unknown
  readonly Policies?: readonly { readonly Statement: readonly Statement[] }[]
}

interface Statement {
  readonly Effect: 'Allow' | 'Deny'
  readonly Action: string | readonly string[]
  readonly Resource: unknown
}

function propertiesOf(name: string): Readonly<Record<string, unknown>> {
  const resource: Resource | undefined = Resources[name]
  assert.ok(resource, `${name} is missing`)
  return resource.Properties
}

const environmentOf = (name: FunctionName) => Resources[name].Properties.Environment.Variables

/** All that a role may do, `Deny` left aside. */
function allowedBy(role: string): Pick<Statement, 'Action' | 'Resource'>[] {
  const { ManagedPolicyArns, Policies } = propertiesOf(role) as {
    ManagedPolicyArns?: unknown
    Policies: readonly { readonly PolicyDocument: { readonly Statement: readonly Statement[] } }[]
  }
  assert.equal(ManagedPolicyArns, undefined)
  return Policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
    .filter(({ Effect }) => Effect === 'Allow')
    .map(({ Action, Resource }) => ({ Action, Resource }))
}

const log = {
  Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
  Resource: { 'Fn::GetAtt': ['NotesLogGroup', 'Arn'] },
}
// None of these can be limited to a resource.
const networkInterfaces = {
  Action: [
    'ec2:AssignPrivateIpAddresses',
    'ec2:CreateNetworkInterface',
    'ec2:DeleteNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:UnassignPrivateIpAddresses',
  ],
  Resource: '*',
}
/** Of the database that is created, else of the one that is there. */
const either = (created: string, parameter: string) => ({
  'Fn::If': ['CreatesDatabase', { 'Fn::GetAtt': ['DatabaseInstance', created] }, { Ref: parameter }],
})

/** The template with these parameters, in eu-west-1. */
const evaluatorWith = (parameters: Readonly<Record<string, string>>) =>
  evaluatorOf(template, {
    region: 'eu-west-1',
    accountId: '123456789012',
    parameters,
    databaseNames: keepDatabaseNames(),
    importValue: () => assert.fail('nothing is imported'),
    readOutput: () => assert.fail('no other stack is read'),
  })

const evaluate = (value: unknown, parameters: Readonly<Record<string, string>>): unknown =>
  evaluatorWith(parameters).evaluate(value, '')

for (const [parameters, ids] of [
  [{ DbiResourceId: 'cluster-A' }, ['cluster-A']],
  // A blue/green deployment, or a restored snapshot.
  [{ DbiResourceId: 'db-A,db-B' }, ['db-A', 'db-B']],
  // Left from before the stack created its own.
  [
    { CreateDatabase: 'true', 'DatabaseInstance.DbiResourceId': 'db-C', DbiResourceId: 'db-A,db-B' },
    ['db-C'],
  ],
] as const) {
  test(`lets the sample connect as one user of ${ids.join(' and ')}, write its log and run in the VPC, and nothing else`, () => {
    const [connect, ...others] = allowedBy('NotesRole')
    const arns = ids.map(id => `arn:aws:rds-db:eu-west-1:123456789012:dbuser:${id}/notes_app`)
    assert.deepEqual(connect && { ...connect, Resource: evaluate(connect.Resource, parameters) }, {
      Action: 'rds-db:connect',
      Resource: arns,
    })
    assert.deepEqual(others, [log, networkInterfaces])
    assert.equal(String(evaluate(template.Outputs.ConnectArn?.Value, parameters)).trim(), arns.join(' '))
  })
}

test('lets who creates the database user read its stack and one secret and have one function run, and the latter nothing', () => {
  assert.deepEqual(allowedBy('DatabaseUserRole'), [
    { Action: 'cloudformation:DescribeStackEvents', Resource: { Ref: 'AWS::StackId' } },
    {
      Action: 'secretsmanager:GetSecretValue',
      Resource: either('MasterUserSecret.SecretArn', 'MasterSecretArn'),
    },
    { Action: 'lambda:InvokeFunction', Resource: { 'Fn::GetAtt': ['DatabaseUserSqlFunction', 'Arn'] } },
    log,
  ])
  assert.deepEqual(allowedBy('DatabaseUserSqlRole'), [log, networkInterfaces])
})

test('denies the functions themselves what Lambda needs for their network interfaces', () => {
  for (const role of ['NotesRole', 'DatabaseUserSqlRole']) {
    const text = JSON.stringify(Resources[role])
    assert.match(
      text,
      /"Effect":"Deny","Action":\["ec2:AssignPrivateIpAddresses".*"lambda:SourceFunctionArn"/,
    )
  }
})

test('gives every function one of these roles', () => {
  const roles = functionNames.map(name => Resources[name].Properties.Role)
  const of = (role: string) => ({ 'Fn::GetAtt': [role, 'Arn'] })
  assert.deepEqual(roles, [
    of('NotesRole'),
    of('NotesRole'),
    of('DatabaseUserRole'),
    of('DatabaseUserSqlRole'),
  ])
  const written = Object.values(Resources).filter(({ Type }) => Type === 'AWS::Serverless::Function')
  assert.equal(written.length, functionNames.length)
})

function allows(parameter: string, value: string): boolean {
  const pattern = template.Parameters[parameter]?.AllowedPattern
  assert.ok(pattern, `${parameter} has no AllowedPattern`)
  return new RegExp(pattern).test(value)
}

test('takes resource IDs of instances, clusters and proxies, not names and not everything', () => {
  for (const id of ['db-ABCDEFGHIJKL01234', 'cluster-ABCDEFGHIJKL01234', 'prx-0abc1def2345']) {
    assert.ok(allows('DbiResourceId', id), id)
  }
  assert.ok(allows('DbiResourceId', 'db-A,db-B'))
  for (const id of [
    'orders',
    'my-cluster',
    'db-orders',
    'cluster-orders',
    'db-*',
    '*',
    'db-',
    'db-A,',
    'db-A,db-B,db-C',
  ])
    assert.ok(!allows('DbiResourceId', id), id)
})

test('takes endpoints of every partition, and no other name', () => {
  for (const host of [
    'orders.c1x2.eu-west-1.rds.amazonaws.com',
    'orders.c1x2.rds.cn-north-1.amazonaws.com.cn',
    'orders.cluster-c1x2.eusc-de-east-1.rds.amazonaws.eu',
    'orders.cluster-c1x2.rds.us-isob-east-1.sc2s.sgov.gov',
    'orders.global-c1x2.global.rds.amazonaws.com',
  ])
    assert.ok(allows('DatabaseEndpoint', host), host)
  for (const host of ['db.example.com', 'orders.c1x2.eu-west-1.rds.amazonaws.example', 'rds.amazonaws.com'])
    assert.ok(!allows('DatabaseEndpoint', host), host)
})

test('wants to know the database that is there, and nothing of it where one is created', () => {
  const { RuleCondition, Assertions } = template.Rules.DatabaseIsKnown
  assert.deepEqual(RuleCondition, { 'Fn::Equals': [{ Ref: 'CreateDatabase' }, 'false'] })
  const asserted = Assertions.map(({ Assert }) => Assert['Fn::Not'][0]['Fn::Equals'])
  const names = ['DatabaseEndpoint', 'DbiResourceId', 'DatabaseSecurityGroupId']
  assert.deepEqual(
    asserted,
    names.map(name => [{ Ref: name }, '']),
  )
  for (const name of names) assert.ok(allows(name, ''), name)
})

const instance = 'DBInstanceIdentifier'
const cluster = 'DBClusterIdentifier'
for (const [parameters, dimension] of [
  [{ DatabaseEndpoint: 'orders.c1x2.eu-west-1.rds.amazonaws.com' }, [instance, 'orders']],
  // An instance of an Aurora cluster, whose resource ID is the cluster's.
  [
    { DatabaseEndpoint: 'orders-1.c1x2.eu-west-1.rds.amazonaws.com', DbiResourceId: 'cluster-A' },
    [instance, 'orders-1'],
  ],
  [{ DatabaseEndpoint: 'orders.cluster-c1x2.eu-west-1.rds.amazonaws.com' }, [cluster, 'orders']],
  [{ DatabaseEndpoint: 'orders.cluster-ro-c1x2.eu-west-1.rds.amazonaws.com' }, [cluster, 'orders']],
  [{ DatabaseEndpoint: 'reports.cluster-custom-c1x2.eu-west-1.rds.amazonaws.com' }, undefined],
  [
    {
      DatabaseEndpoint: 'reports.cluster-custom-c1x2.eu-west-1.rds.amazonaws.com',
      DatabaseIdentifier: 'orders',
    },
    [cluster, 'orders'],
  ],
  [{ DatabaseEndpoint: 'orders.global-c1x2.global.rds.amazonaws.com' }, undefined],
  [
    { DatabaseEndpoint: 'orders.global-c1x2.global.rds.amazonaws.com', DatabaseIdentifier: 'orders-eu' },
    [cluster, 'orders-eu'],
  ],
  [{ DatabaseEndpoint: 'orders.proxy-c1x2.eu-west-1.rds.amazonaws.com' }, undefined],
  [{ CreateDatabase: 'true', DatabaseInstance: 'made' }, [instance, 'made']],
  // Left from before the stack created its own.
  [
    {
      CreateDatabase: 'true',
      DatabaseInstance: 'made',
      DatabaseEndpoint: 'orders.proxy-c1x2.eu-west-1.rds.amazonaws.com',
    },
    [instance, 'made'],
  ],
] as const) {
  test(`watches what is connected to: ${Object.values(parameters).join(', ')}`, () => {
    const alarms = Object.values(Resources).filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm')
    assert.equal(alarms.length, 4)
    const { isTrue } = evaluatorWith(parameters)
    for (const { Condition, Properties } of alarms) {
      const isThere = isTrue(String(Condition), '')
      const seen = isThere
        ? evaluate((Properties as Resource['Properties']).Dimensions, parameters)
        : undefined
      assert.deepEqual(seen, dimension && [{ Name: dimension[0], Value: dimension[1] }])
    }
  })
}

for (const [parameters, port] of [
  [{}, '5432'],
  [{ Engine: 'mysql' }, '3306'],
  [{ Engine: 'mysql', DatabasePort: '3307' }, '3307'],
] as const) {
  test(`connects to port ${port}, and opens the way to it and no other: ${JSON.stringify(parameters)}`, () => {
    const variables = { ...environmentOf('PostgresNotesFunction'), ...environmentOf('MysqlNotesFunction') }
    const rules = ['FunctionToDatabase', 'DatabaseFromFunction'].map(propertiesOf)
    const ports = [
      variables.PGPORT,
      variables.MYSQL_TCP_PORT,
      propertiesOf('DatabaseInstance').Port,
      propertiesOf('NotesUser').Port,
      ...rules.flatMap(({ FromPort, ToPort }) => [FromPort, ToPort]),
    ]
    for (const value of ports) assert.equal(evaluate(value, parameters), port)
    for (const { IpProtocol } of rules) assert.equal(IpProtocol, 'tcp')
  })
}

test('takes the ports that RDS takes', () => {
  for (const port of ['', '1150', '3306', '5432', '9999', '10000', '65535'])
    assert.ok(allows('DatabasePort', port), port)
  for (const port of ['0', '443', '1149', '65536', '70000', '100000', '05432', '5432 ', 'five'])
    assert.ok(!allows('DatabasePort', port), port)
})

test('takes no wildcard for the database user', () => {
  assert.ok(allows('DatabaseUser', 'notes_app'))
  assert.ok(!allows('DatabaseUser', '*'))
  assert.ok(!allows('DatabaseUser', 'notes_?'))
})

test('takes endpoints of RDS, and no name that no token is valid for', () => {
  for (const host of [
    'orders.c1x2.eu-west-1.rds.amazonaws.com',
    'orders.cluster-c1x2.eu-west-1.rds.amazonaws.com',
    'orders.proxy-c1x2.us-gov-west-1.rds.amazonaws.com',
    'orders.c1x2.rds.cn-north-1.amazonaws.com.cn',
  ]) {
    assert.ok(allows('DatabaseEndpoint', host), host)
  }
  for (const host of [
    'db.example.com',
    '10.0.0.1',
    'localhost',
    'orders.c1x2.eu-west-1.rds.amazonaws.com:5432',
  ]) {
    assert.ok(!allows('DatabaseEndpoint', host), host)
  }
})

testEach('runs on the Node.js that it is developed with', functionNames, ({ Properties }) => {
  assert.equal(Properties.Runtime, 'nodejs24.x')
  assert.equal(readFileSync(join(root, '.nvmrc'), 'utf8').trim(), '24')
  assert.deepEqual(Properties.Architectures, [{ Ref: 'Architecture' }])
  assert.equal(evaluate({ Ref: 'Architecture' }, {}), 'arm64')
})

testEach(
  "is built by SAM's esbuild method, without what Lambda's runtime brings",
  functionNames,
  ({ Metadata }) => {
    assert.equal(Metadata.BuildMethod, 'esbuild')
    const external = Metadata.BuildProperties.External as readonly string[]
    assert.equal(external[0], '@aws-sdk/*')
  },
)

test('runs all but one in the VPC of the database: that one reaches Secrets Manager and CloudFormation', () => {
  const inside = functionNames.filter(name => Resources[name].Properties.VpcConfig !== undefined)
  assert.deepEqual(inside, ['PostgresNotesFunction', 'MysqlNotesFunction', 'DatabaseUserSqlFunction'])
  for (const name of inside) {
    assert.deepEqual(Resources[name].Properties.VpcConfig, {
      SubnetIds: { Ref: 'SubnetIds' },
      SecurityGroupIds: [{ Ref: 'FunctionSecurityGroup' }],
    })
  }
})

test('opens nothing but the way from the functions to the database', () => {
  for (const name of ['FunctionSecurityGroup', 'DatabaseSecurityGroup']) {
    const { SecurityGroupEgress, SecurityGroupIngress } = propertiesOf(name)
    assert.equal(SecurityGroupIngress, undefined)
    assert.match(
      JSON.stringify(SecurityGroupEgress),
      /^\[\{"Description":"[^"]*","IpProtocol":"-1","CidrIp":"127\.0\.0\.1\/32"\}\]$/,
    )
  }
})

test('creates an instance that is encrypted, private, for IAM and TLS only, and leaves a snapshot', () => {
  const properties = propertiesOf('DatabaseInstance')
  assert.equal(properties.StorageEncrypted, true)
  assert.equal(properties.PubliclyAccessible, false)
  assert.equal(properties.EnableIAMDatabaseAuthentication, true)
  assert.equal(properties.ManageMasterUserPassword, true)
  assert.equal('MasterUserPassword' in properties, false)
  assert.deepEqual(properties.EnableCloudwatchLogsExports, ['iam-db-auth-error'])
  const { DeletionPolicy, UpdateReplacePolicy } = Resources.DatabaseInstance ?? {}
  assert.deepEqual([DeletionPolicy, UpdateReplacePolicy], ['Snapshot', 'Snapshot'])
  assert.deepEqual(properties.DeletionProtection, { Ref: 'DeletionProtection' })
  const { Parameters } = propertiesOf('DatabaseParameterGroup')
  assert.deepEqual(Parameters, {
    'Fn::If': ['IsPostgres', { 'rds.force_ssl': '1' }, { require_secure_transport: '1' }],
  })
})

test('creates the table that the SQL for doing it by hand creates', () => {
  const { postgres, mysql } = template.Mappings.NotesSql
  const created = [postgres.Setup[0], mysql.Setup[0]]
  const written = ['postgres', 'mysql'].map(engine => {
    const sql = readFileSync(join(root, 'src/sample', `notes-${engine}.sql`), 'utf8')
    return /CREATE TABLE[^;]*/.exec(sql)?.[0]
  })
  const flat = (sql: string | undefined) => sql?.replace('IF NOT EXISTS ', '').replace(/\s+/g, ' ')
  assert.deepEqual(created.map(flat), written.map(flat))
})

test('tells the functions of the database user what the stack may ask for: the same as the resource does', () => {
  const { ServiceToken, ServiceTimeout, Engine, ...user } = propertiesOf('NotesUser')
  const { Host, Port, Database, User, MasterSecretArn, Setup, Grants, ...others } = user
  assert.deepEqual(others, {})
  const server = { STACK_ID: { Ref: 'AWS::StackId' }, DATABASE_HOST: Host, DATABASE_PORT: Port }
  assert.deepEqual(Resources.DatabaseUserFunction.Properties.Environment.Variables, {
    SQL_FUNCTION: { Ref: 'DatabaseUserSqlFunction' },
    LOGICAL_RESOURCE_ID: 'NotesUser',
    ...server,
    DATABASE_NAME: Database,
    DATABASE_USER: User,
    MASTER_SECRET_ARN: MasterSecretArn,
    SETUP: { 'Fn::Join': [';;', Setup] },
    GRANTS: { 'Fn::Join': [';;', Grants] },
  })
  assert.deepEqual(Resources.DatabaseUserSqlFunction.Properties.Environment.Variables, {
    ...server,
    DATABASE_CA: '',
  })
})

test('has the function of the engine that was asked for, and not the other', () => {
  const { PostgresNotesFunction, MysqlNotesFunction } = Resources
  const is = (engine: string) => ({ 'Fn::Equals': [{ Ref: 'Engine' }, engine] })
  const { IsPostgres, IsMysql } = template.Conditions
  assert.deepEqual([IsPostgres, IsMysql], [is('postgres'), is('mysql')])
  assert.equal(PostgresNotesFunction.Condition, 'IsPostgres')
  assert.equal(MysqlNotesFunction.Condition, 'IsMysql')
})

const variables = {
  PostgresNotesFunction: ['PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE'],
  MysqlNotesFunction: ['MYSQL_HOST', 'MYSQL_TCP_PORT', 'MYSQL_USER', 'MYSQL_DATABASE'],
}

testEach('has every environment variable that its code reads', notesNames, ({ Properties }, name) => {
  const entry = notes[name]
  const read = [...readSample(entry).matchAll(/process\.env\.([A-Z_]+)/g)].map(match => match[1] as string)
  assert.ok(read.length > 0)
  for (const variable of [...read, ...variables[name]])
    assert.ok(variable in Properties.Environment.Variables, `${variable} is not declared`)
})

test('refers to nothing that is not there', () => {
  const text = readFileSync(join(root, 'template.yaml'), 'utf8')
  const names = [
    ...text.matchAll(/!Ref (\w+)(?!\w|::)|\$\{(?!Function\}|ResourceId\})(\w+)\}|!GetAtt (\w+)\./g),
  ].map(([, ref, sub, attribute]) => ref ?? sub ?? attribute)
  for (const name of names) assert.ok(name && (name in template.Parameters || name in Resources), `${name}`)
  for (const name of Object.keys(template.Parameters)) assert.ok(names.includes(name), `${name} is not used`)
})

testEach('has an event for each of its actions', notesNames, (_, name) => {
  const actions = readdirSync(join(root, 'events')).map(
    file => (JSON.parse(readFileSync(join(root, 'events', file), 'utf8')) as { action: string }).action,
  )
  const text = readSample(notes[name])
  const handled = [...text.matchAll(/case '(\w+)':/g)].map(match => match[1])
  // Answered in front of the middleware, not in the handler.
  if (/asksForDiagnosis\(event\)/.test(text)) handled.push('diagnose')
  assert.deepEqual(actions.sort(), handled.sort())
})

test("docs/database-user.md has the same custom resource for a template of one's own", () => {
  const [, yaml = ''] =
    /```yaml\n(OrdersUserFunction:.*?)```/s.exec(readPage('docs/database-user.md').text) ?? []
  const shown = parseTemplate(`Resources:\n${yaml.replace(/^(?=.)/gm, '  ')}`)
  const [outer, inner, user] = ['OrdersUserFunction', 'OrdersUserSqlFunction', 'OrdersUser'].map(
    name => (shown.Resources?.[name] as unknown as Resource | undefined)?.Properties ?? assert.fail(name),
  ) as [ShownFunction, ShownFunction, Resource['Properties']]
  for (const [own, name] of [
    [outer, 'DatabaseUserFunction'],
    [inner, 'DatabaseUserSqlFunction'],
  ] as const) {
    const { Handler, Timeout, Runtime } = Resources[name].Properties
    assert.deepEqual([own.Handler, own.Timeout, own.Runtime], [Handler, Timeout, Runtime])
  }
  assert.deepEqual(inner.VpcConfig, Resources.DatabaseUserSqlFunction.Properties.VpcConfig)
  assert.deepEqual(outer.EventInvokeConfig, propertiesOf('DatabaseUserFunction').EventInvokeConfig)
  const { SQL_FUNCTION, ...variables } = outer.Environment.Variables
  assert.deepEqual(SQL_FUNCTION, { Ref: 'OrdersUserSqlFunction' })
  const server = { STACK_ID: { Ref: 'AWS::StackId' }, DATABASE_HOST: user.Host, DATABASE_PORT: user.Port }
  assert.deepEqual(variables, {
    ...server,
    LOGICAL_RESOURCE_ID: 'OrdersUser',
    DATABASE_NAME: user.Database,
    DATABASE_USER: user.User,
    MASTER_SECRET_ARN: user.MasterSecretArn,
    SETUP: (user.Setup as string[]).join(';;'),
    GRANTS: (user.Grants as string[]).join(';;'),
  })
  assert.deepEqual(inner.Environment.Variables, server)
  const allowed = outer.Policies?.flatMap(({ Statement }) => Statement.map(({ Action }) => Action))
  const [events, secret, invoke] = allowedBy('DatabaseUserRole')
  const actions = [events, secret, invoke].map(statement => statement?.Action)
  assert.deepEqual([allowed, inner.Policies], [actions, undefined])
  assert.deepEqual(Object.keys(user), Object.keys(propertiesOf('NotesUser')))
  assert.equal(user.ServiceTimeout, propertiesOf('NotesUser').ServiceTimeout)
})

/** @param entry As esbuild is told, `sample/notes-postgres.ts` for example. */
function readSample(entry: string): string {
  return readFileSync(join(root, 'src', entry), 'utf8')
}
