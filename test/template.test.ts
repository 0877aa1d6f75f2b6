import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readTemplate, root } from '../local/template.ts'

const template = readTemplate()
const { Properties, Metadata } = template.Resources.NotesFunction
const sample = readFileSync(join(root, 'src/sample/notes.ts'), 'utf8')

test('lets the function connect as one user of one database, and nothing else', () => {
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

test('runs on the Node.js that it is developed with', () => {
  assert.equal(Properties.Runtime, 'nodejs24.x')
  assert.equal(readFileSync(join(root, '.nvmrc'), 'utf8').trim(), '24')
  assert.deepEqual(Properties.Architectures, ['arm64'])
})

test("is built by SAM's esbuild method, without what Lambda's runtime brings", () => {
  assert.equal(Metadata.BuildMethod, 'esbuild')
  assert.deepEqual(Metadata.BuildProperties.External, ['@aws-sdk/*', 'middy-rds-iam/roots'])
})

test('runs in the VPC of the database', () => {
  assert.deepEqual(Properties.VpcConfig, {
    SubnetIds: { Ref: 'SubnetIds' },
    SecurityGroupIds: { Ref: 'SecurityGroupIds' },
  })
})

test('declares every environment variable that the sample reads', () => {
  const read = [...sample.matchAll(/process\.env\.([A-Z_]+)/g)].map(match => match[1] as string)
  assert.ok(read.length > 0)
  for (const name of [...read, 'PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE']) {
    assert.ok(name in Properties.Environment.Variables, `${name} is not declared`)
  }
})

test('refers to parameters that exist', () => {
  const text = readFileSync(join(root, 'template.yaml'), 'utf8')
  const names = [...text.matchAll(/!Ref (\w+)|\$\{(\w+)\}/g)].map(match => match[1] ?? match[2])
  for (const name of names) assert.ok(name && name in template.Parameters, `${name}`)
  for (const name of Object.keys(template.Parameters)) assert.ok(names.includes(name), `${name} is not used`)
})

test('has an event for each action of the sample', () => {
  const actions = readdirSync(join(root, 'events')).map(
    file => (JSON.parse(readFileSync(join(root, 'events', file), 'utf8')) as { action: string }).action,
  )
  const handled = [...sample.matchAll(/case '(\w+)':/g)].map(match => match[1])
  assert.deepEqual(actions.sort(), handled.sort())
})
