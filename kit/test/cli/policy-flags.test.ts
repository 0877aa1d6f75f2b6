import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readPolicyFlags } from '../../src/cli/policy-flags.ts'
import { readPolicy } from '../../src/gateway/policy.ts'

const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-flags-'))
after(() => rmSync(folder, { recursive: true }))

const region = 'eu-west-1'
const arn = (user: string) => `arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-X/${user}`
const allow = (user: string) => ({ Effect: 'Allow', Action: 'rds-db:connect', Resource: arn(user) })

function write(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

/** Whom the gateway would let in. */
async function admitted(flags: Parameters<typeof readPolicyFlags>[0], users: readonly string[]) {
  const policy = await readPolicyFlags(flags, region)
  assert.ok(policy !== undefined)
  const evaluate = readPolicy(policy, region, (at, problem) => assert.fail(`${at} ${problem}`))
  return users.filter(user => evaluate(user).allowed)
}

test('all policies of a role decide together, each by its own version', async () => {
  const named = { Sid: 'Connect', ...allow('app') }
  const literal = allow('$' + "{aws:username, 'report'}")
  const inline = [
    { PolicyDocument: { Version: '2012-10-17', Statement: [named, allow('admin')] } },
    { PolicyDocument: { Version: '2012-10-17', Statement: { ...named, Resource: arn('batch') } } },
    { PolicyDocument: { Version: '2008-10-17', Statement: literal } },
    { PolicyDocument: { Version: '2012-10-17', Statement: { ...allow('admin'), Effect: 'Deny' } } },
  ]
  const policy = write('account.json', {
    RoleDetailList: [{ RoleName: 'orders', RolePolicyList: inline }],
    Policies: [],
  })
  const users = ['app', 'admin', 'batch', 'report', '$' + "{aws:username, 'report'}"]
  assert.deepEqual(await admitted({ policy, role: 'orders', 'resource-id': 'db-X' }, users), [
    'app',
    'batch',
    '$' + "{aws:username, 'report'}",
  ])
})

test('a template is read as CloudFormation prints it, as an object or as text', async () => {
  const body = {
    Resources: {
      Role: {
        Type: 'AWS::IAM::Role',
        Properties: { Policies: [{ PolicyDocument: { Version: '2012-10-17', Statement: allow('app') } }] },
      },
    },
  }
  const text = `Resources: { Role: { Type: AWS::IAM::Role, Properties: { Policies: [{ PolicyDocument: { Version: 2012-10-17, Statement: { Effect: Allow, Action: rds-db:connect, Resource: !Sub "arn:aws:rds-db:\${AWS::Region}:*:dbuser:db-X/app" } } }] } } }`
  for (const TemplateBody of [body, text]) {
    const template = write('template.json', { StagesAvailable: ['Original'], TemplateBody })
    assert.deepEqual(await admitted({ template, 'resource-id': 'db-X' }, ['app', 'App']), ['app'])
  }
})

test('the resource id is asked for where the values have none, or several', async () => {
  const template = write(
    'two.yaml',
    `
Parameters: { A: { Type: String }, B: { Type: String } }
Resources: { Role: { Type: AWS::IAM::Role, Properties: { Policies: [{ PolicyDocument: { Version: 2012-10-17, Statement: { Effect: Allow, Action: rds-db:connect, Resource: [!Sub "arn:aws:rds-db:*:*:dbuser:\${A}/app", !Sub "arn:aws:rds-db:*:*:dbuser:\${B}/app"] } } }] } } }`,
  )
  const give = (a: string, b: string) =>
    readPolicyFlags({ template, parameter: [`A=${a}`, `B=${b}`] }, region)
  await assert.rejects(give('orders', 'other'), /--template needs --resource-id/)
  await assert.rejects(give('db-A', 'db-B'), /--template needs --resource-id/)
  assert.equal((await give('db-A', 'other'))?.resourceId, 'db-A')
  assert.equal((await give('db-A', 'db-A'))?.resourceId, 'db-A')
})
