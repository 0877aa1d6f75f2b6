import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type FunctionName, type FunctionResource, readTemplate, root } from '../local/template.ts'

const template = readTemplate()
const functions = Object.entries(template.Resources)

/** A test for each function. */
function testEach(title: string, check: (resource: FunctionResource, name: FunctionName) => void): void {
  for (const [name, resource] of functions)
    test(`${name}: ${title}`, () => check(resource, name as FunctionName))
}

testEach('may connect as one user of one database, and nothing else', ({ Properties }) => {
  assert.deepEqual(Properties.Policies, [
    {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: 'rds-db:connect',
          Resource: {
            'Fn::Sub':
              // biome-ignore lint/suspicious/noTemplateCurlyInString: CloudFormation's placeholders
              'arn:${AWS::Partition}:rds-db:${AWS::Region}:${AWS::AccountId}:dbuser:${DbiResourceId}/${DatabaseUser}',
          },
        },
      ],
    },
  ])
  assert.equal('Role' in Properties, false)
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
  for (const id of ['orders', 'my-cluster', 'db-*', '*', 'db-', ''])
    assert.ok(!allows('DbiResourceId', id), id)
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

testEach('runs on the Node.js that it is developed with', ({ Properties }) => {
  assert.equal(Properties.Runtime, 'nodejs24.x')
  assert.equal(readFileSync(join(root, '.nvmrc'), 'utf8').trim(), '24')
  assert.deepEqual(Properties.Architectures, ['arm64'])
})

testEach("is built by SAM's esbuild method, without what Lambda's runtime brings", ({ Metadata }) => {
  assert.equal(Metadata.BuildMethod, 'esbuild')
  const external = Metadata.BuildProperties.External as readonly string[]
  assert.deepEqual(external.slice(0, 2), ['@aws-sdk/*', 'middy-rds-iam/roots'])
})

testEach('runs in the VPC of the database', ({ Properties }) => {
  assert.deepEqual(Properties.VpcConfig, {
    SubnetIds: { Ref: 'SubnetIds' },
    SecurityGroupIds: { Ref: 'SecurityGroupIds' },
  })
})

test('has the function of the engine that was asked for, and not the other', () => {
  const { PostgresNotesFunction, MysqlNotesFunction } = template.Resources
  const is = (engine: string) => ({ 'Fn::Equals': [{ Ref: 'Engine' }, engine] })
  assert.deepEqual(template.Conditions, { IsPostgres: is('postgres'), IsMysql: is('mysql') })
  assert.equal(PostgresNotesFunction.Condition, 'IsPostgres')
  assert.equal(MysqlNotesFunction.Condition, 'IsMysql')
})

const variables = {
  PostgresNotesFunction: ['PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE'],
  MysqlNotesFunction: ['MYSQL_HOST', 'MYSQL_TCP_PORT', 'MYSQL_USER', 'MYSQL_DATABASE'],
}

testEach('has every environment variable that its code reads', ({ Properties, Metadata }, name) => {
  const [entry] = Metadata.BuildProperties.EntryPoints as readonly [string]
  const read = [...readSample(entry).matchAll(/process\.env\.([A-Z_]+)/g)].map(match => match[1] as string)
  assert.ok(read.length > 0)
  for (const variable of [...read, ...variables[name]])
    assert.ok(variable in Properties.Environment.Variables, `${variable} is not declared`)
})

test('refers to parameters that exist', () => {
  const text = readFileSync(join(root, 'template.yaml'), 'utf8')
  const names = [...text.matchAll(/!Ref (\w+)|\$\{(?!Function\})(\w+)\}/g)].map(match => match[1] ?? match[2])
  for (const name of names) assert.ok(name && name in template.Parameters, `${name}`)
  for (const name of Object.keys(template.Parameters)) assert.ok(names.includes(name), `${name} is not used`)
})

testEach('has an event for each of its actions', ({ Metadata }) => {
  const [entry] = Metadata.BuildProperties.EntryPoints as readonly [string]
  const actions = readdirSync(join(root, 'events')).map(
    file => (JSON.parse(readFileSync(join(root, 'events', file), 'utf8')) as { action: string }).action,
  )
  const handled = [...readSample(entry).matchAll(/case '(\w+)':/g)].map(match => match[1])
  assert.deepEqual(actions.sort(), handled.sort())
})

/** @param entry As esbuild is told, `sample/notes-postgres.ts` for example. */
function readSample(entry: string): string {
  return readFileSync(join(root, 'src', entry), 'utf8')
}
