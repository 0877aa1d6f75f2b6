import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connectPolicy } from '../../../src/index.ts'
import { nodeFlags } from '../../../test/support/node-process.ts'

const cli = fileURLToPath(new URL('../../src/cli/rds-iam.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-check-'))
after(() => rmSync(folder, { recursive: true }))

function check(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input: string | Buffer = '',
) {
  const options = {
    env: { PATH: process.env.PATH ?? '', ...env },
    cwd: folder,
    input,
    encoding: 'utf8',
  } as const
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...nodeFlags, cli, 'check', ...args],
    options,
  )
  assert.doesNotMatch(stderr, /^ {4}at /m, 'no stack')
  return { status, stdout, stderr }
}

function write(name: string, content: unknown): string {
  const isText = typeof content === 'string' || Buffer.isBuffer(content)
  writeFileSync(join(folder, name), isText ? content : JSON.stringify(content))
  return name
}

const resourceId = 'db-ABCDEFGHIJKL01234'
const where = { region: 'eu-west-1', accountId: '123456789012', resourceId }
const app = ['--resource-id', resourceId, '--user', 'app', '--region', 'eu-west-1']
const policy = connectPolicy({ ...where, user: 'app' })
const [allow] = policy.Statement
const json = JSON.stringify(policy, null, 2)
const named = { RoleName: 'orders', PolicyName: 'connect' }

describe('rds-iam check reads a policy', () => {
  for (const [what, content] of [
    ['as it is', json],
    ['behind a byte order mark', `\ufeff${json}`],
    ['in UTF-16 LE', Buffer.from(`\ufeff${json}`, 'utf16le')],
    ['in UTF-16 BE', Buffer.from(`\ufeff${json}`, 'utf16le').swap16()],
    ['in UTF-16 LE without a byte order mark', Buffer.from(json, 'utf16le')],
    ['in UTF-16 BE without one', Buffer.from(json, 'utf16le').swap16()],
    ['as IAM gives it, URL-encoded', encodeURIComponent(json)],
    ['as the API gives it within its answer', { ...named, PolicyDocument: encodeURIComponent(json) }],
    ['as `aws iam get-role-policy` prints it', { ...named, PolicyDocument: policy }],
    ['as `aws iam get-policy-version` prints it', { PolicyVersion: { Document: policy, VersionId: 'v1' } }],
    ['as the API gives a version of it', { PolicyVersion: { Document: encodeURIComponent(json) } }],
    ['as a JSON string, as Terraform puts it out', JSON.stringify(json)],
  ] as const) {
    it(what, () => {
      const { status, stdout, stderr } = check([write('policy.json', content), ...app])
      assert.equal(stderr, '')
      assert.match(stdout, /^may connect: /m)
      assert.equal(status, 0)
    })
  }

  const account = (role: object = {}) => ({
    RoleDetailList: [
      { RoleName: 'payments', RolePolicyList: [], AttachedManagedPolicies: [] },
      {
        RoleName: 'orders',
        RolePolicyList: [{ PolicyName: 'connect', PolicyDocument: policy }],
        AttachedManagedPolicies: [],
        ...role,
      },
    ],
    Policies: [
      {
        Arn: 'arn:aws:iam::123456789012:policy/deny',
        PolicyVersionList: [
          { VersionId: 'v1', IsDefaultVersion: false, Document: policy },
          {
            VersionId: 'v2',
            IsDefaultVersion: true,
            Document: { Version: '2012-10-17', Statement: { ...allow, Effect: 'Deny' } },
          },
        ],
      },
    ],
  })
  const attached = (name: string) => ({
    AttachedManagedPolicies: [{ PolicyName: name, PolicyArn: `arn:aws:iam::123456789012:policy/${name}` }],
  })

  it('of one role, as `aws iam get-account-authorization-details` prints those of all', () => {
    const file = write('account.json', account())
    assert.equal(check([file, '--role', 'orders', ...app]).status, 0)
    const denied = check([write('denied.json', account(attached('deny'))), '--role', 'orders', ...app])
    assert.match(denied.stdout, /may not connect: statement 1 of policy 2 denies/)
    assert.equal(denied.status, 1)
    const boundary = { PermissionsBoundary: { PermissionsBoundaryArn: 'arn:aws:iam::123456789012:policy/b' } }
    const bound = check([write('bound.json', account(boundary)), '--role', 'orders', ...app])
    assert.match(
      bound.stdout,
      /^note bound\.json: the role has a permissions boundary, arn:\S+, which may still deny$/m,
    )
  })

  for (const [what, args, message] of [
    [
      'a role that is not said',
      ['account.json'],
      /has the roles payments, orders: say which is meant with --role/,
    ],
    ['a role that is not there', ['account.json', '--role', 'x'], /has no role x; there is payments, orders/],
    [
      'a role for a policy',
      ['policy.json', '--role', 'orders'],
      /policy\.json: has no roles, of which --role/,
    ],
    [
      'a managed policy that is not there',
      ['gone.json', '--role', 'orders'],
      /has the policy arn:aws:iam::123456789012:policy\/gone, which is not in it/,
    ],
    [
      'no document',
      ['listed.json'],
      /listed\.json: has no document of the policy: `aws iam get-policy-version` prints it/,
    ],
    ['a trust policy', ['trust.json'], /trust\.json: has the policy that says who may take the role/],
    [
      'an element twice',
      ['twice.json'],
      /twice\.json: has "Action" twice in one object, which IAM does not take/,
    ],
    ['an element twice in a text', ['twice-text.json'], /has "Action" twice/],
    ['bytes that are no text', ['bytes.json'], /bytes\.json: is neither UTF-8 nor UTF-16/],
    ['a broken encoding', ['encoded.json'], /encoded\.json: URI malformed/],
    [
      'a template in YAML',
      ['template.yaml'],
      /template\.yaml: is a template of CloudFormation: give it with --template/,
    ],
    [
      'a template in JSON',
      ['template.json'],
      /template\.json: is a template of CloudFormation: give it with --template/,
    ],
  ] as const) {
    it(`but not ${what}`, () => {
      write('account.json', account())
      write('gone.json', account(attached('gone')))
      write('policy.json', policy)
      write('listed.json', { Policy: { Arn: 'arn:aws:iam::123456789012:policy/deny' } })
      write('trust.json', { Role: { RoleName: 'orders', AssumeRolePolicyDocument: policy } })
      const twice =
        '{"Version":"2012-10-17","Statement":[{"Action":"s3:*","Effect":"Allow","\\u0041ction":"*"}]}'
      write('twice.json', twice)
      write('twice-text.json', JSON.stringify({ PolicyDocument: twice }))
      write('bytes.json', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]))
      write('encoded.json', '%7B%2')
      write('template.yaml', 'Resources:\n  Role: { Type: AWS::IAM::Role }\n')
      write('template.json', { Resources: { Role: { Type: 'AWS::IAM::Role' } } })
      const { status, stdout, stderr } = check([...args, ...app])
      assert.deepEqual([status, stdout], [2, ''], stderr)
      assert.match(stderr, message)
      assert.match(stderr, /Try rds-iam check --help\.\n$/)
    })
  }
})

describe('rds-iam check says that it depends', () => {
  const tagged = { StringEquals: { 'aws:PrincipalTag/team': 'orders' } }
  const conditional = { Version: '2012-10-17', Statement: [{ ...allow, Condition: tagged }] }
  const on = 'the condition StringEquals of aws:PrincipalTag/team'

  it('and on what, and ends with 1', () => {
    const { status, stdout, stderr } = check([write('conditional.json', conditional), ...app])
    assert.deepEqual([status, stderr], [1, ''])
    const lines = stdout.trimEnd().split('\n')
    assert.equal(lines[0], `depends conditional.json .Statement[0]: may allow it, depending on ${on}`)
    assert.match(
      lines.at(-1) ?? '',
      /^depends: whether the policy allows rds-db:connect on arn:\S+ depends on the condition/,
    )
  })

  it('also in JSON', () => {
    const { status, stdout } = check([write('conditional.json', conditional), ...app, '--json'])
    assert.equal(status, 1)
    const { allowed, dependsOn, problems } = JSON.parse(stdout)
    assert.deepEqual([allowed, problems], [false, []])
    const message = `may allow it, depending on ${on}`
    assert.deepEqual(dependsOn, [{ file: 'conditional.json', at: '.Statement[0]', message }])
  })

  it('but not where nothing is open', () => {
    const own = [...policy.Statement, ...conditional.Statement]
    assert.equal(check([write('own.json', { ...policy, Statement: own }), ...app]).status, 0)
  })

  it('and does not let anybody in by the name of an IAM user', () => {
    const Resource = `arn:aws:rds-db:eu-west-1:123456789012:dbuser:${resourceId}/\${aws:username}`
    const { status, stdout } = check([
      write('user.json', { ...policy, Statement: [{ ...allow, Resource }] }),
      ...app,
    ])
    assert.equal(status, 1)
    assert.match(
      stdout,
      /^problem user\.json \.Statement\[0\]\.Resource: has \$\{aws:username\} in it, which the session of a role does not have/m,
    )
    assert.match(stdout, /^may not connect: /m)
  })
})

describe('rds-iam check with a template', () => {
  const template = (resource: string) => `
Resources:
  Db: { Type: AWS::RDS::DBInstance }
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies: [{ PolicyDocument: { Version: 2012-10-17, Statement: { Effect: Allow, Action: rds-db:connect, Resource: ${resource} } } }]
`
  const sub = `arn:aws:rds-db:\${AWS::Region}:\${AWS::AccountId}:dbuser:`
  const importing = template(`!Sub ["${sub}\${Id}/app", { Id: !ImportValue network-Id }]`)
  const network = `
Resources: { Db: { Type: AWS::RDS::DBInstance } }
Outputs: { Id: { Value: !GetAtt Db.DbiResourceId, Export: { Name: !Sub "\${AWS::StackName}-Id" } } }
`
  const user = ['--user', 'app']
  const region = ['--region', 'eu-west-1']

  it('takes one value for the attribute and for the resource id', () => {
    write('own.yaml', template(`!Sub "${sub}\${Db.DbiResourceId}/app"`))
    const given = ['--parameter', `Db.DbiResourceId=${resourceId}`]
    for (const args of [[...region], [...region, '--role', 'Role'], []]) {
      const { status, stdout } = check(['--template', 'own.yaml', ...user, ...given, ...args], {
        AWS_REGION: 'eu-west-1',
      })
      assert.equal(status, 0)
      assert.match(stdout, new RegExp(`^may connect: .*:dbuser:${resourceId}/app\n$`))
    }
    const other = check(['--template', 'own.yaml', ...user, ...given, ...region, '--resource-id', 'db-OTHER'])
    assert.equal(other.status, 1)
    assert.match(other.stdout, /is for the database db-ABCDEFGHIJKL01234, not db-OTHER/)
  })

  it('takes the resource id of a proxy out of its ARN', () => {
    write(
      'proxy.yaml',
      template(`!Sub ["${sub}\${Id}/app", { Id: !Select [6, !Split [":", !ImportValue proxy]] }]`),
    )
    const args = ['--import', 'proxy=arn:aws:rds:eu-west-1:123456789012:db-proxy:prx-0abc']
    const { status, stdout } = check(['--template', 'proxy.yaml', ...user, ...region, ...args])
    assert.deepEqual([status, /dbuser:prx-0abc\/app\n$/.test(stdout)], [0, true], stdout)
  })

  it('takes what it imports from an option, or from the template of the other stack', () => {
    write('orders.yaml', Buffer.from(`\ufeff${importing}`, 'utf16le'))
    write('network.template.yaml', network)
    const base = ['--template', 'orders.yaml', ...user, ...region]
    for (const args of [
      ['--import', `network-Id=${resourceId}`],
      ['--stack', 'network.template.yaml', '--parameter', `network/Db.DbiResourceId=${resourceId}`],
      ['--stack', 'network=./network.template.yaml', '--parameter', `network/Db.DbiResourceId=${resourceId}`],
    ]) {
      const { status, stdout, stderr } = check([...base, ...args])
      assert.deepEqual([status, stderr], [0, ''], stdout)
    }
  })

  it('takes what it reads of another stack, as new projects of the CDK do', () => {
    const id = '{ "Fn::GetStackOutput": { StackName: network, OutputName: Id, Region: !Ref AWS::Region } }'
    write('weak.yaml', template(`!Join ["", [!Sub "${sub}", ${id}, /app]]`))
    write('network.template.yaml', network)
    const base = ['--template', 'weak.yaml', ...user, ...region]
    for (const args of [
      ['--import', `network/Id=${resourceId}`],
      ['--stack', 'network.template.yaml', '--parameter', `network/Db.DbiResourceId=${resourceId}`],
    ]) {
      const { status, stdout, stderr } = check([...base, ...args])
      assert.deepEqual([status, stderr], [0, ''], stdout)
      assert.match(stdout, new RegExp(`:dbuser:${resourceId}/app\n$`))
    }
    const { status, stderr } = check(base)
    assert.equal(status, 2)
    assert.match(
      stderr,
      /the output Id of the stack network has no value: give it with --import 'network\/Id=…'/,
    )
  })

  for (const [what, args, message] of [
    [
      'no value for an export',
      ['--resource-id', resourceId],
      /the export network-Id has no value: give it with --import 'network-Id=…'/,
    ],
    ['a value that is none', ['--import', 'network-Id'], /--import is not Name=Value; got "network-Id"/],
    ['an empty value', ['--import', 'network-Id='], /--import is not Name=Value; got "network-Id="/],
    ['a value without a name', ['--parameter', '=x'], /--parameter is not Name=Value; got "=x"/],
    ['two values', ['--import', 'a=b', '--import', 'a=c'], /--import a is given twice/],
    ['a stack that is not there', ['--stack', 'gone.yaml'], /--stack gone\.yaml: ENOENT/],
    [
      'a stack twice',
      ['--stack', 'network.yaml', '--stack', 'network=network.yaml'],
      /--stack network is given twice: name one of them/,
    ],
    [
      'a parameter of no stack',
      ['--parameter', 'db/Id=x', '--stack', 'network.yaml'],
      /--parameter db\/Id is for the stack db, which no --stack gives; there is network/,
    ],
    [
      'a parameter that the stack has not',
      ['--parameter', 'network/Idd=x', '--stack', 'network.yaml'],
      /there is no Idd to give a value to/,
    ],
    ['an empty stack', ['--stack', ''], /--stack is empty; give it a value, or leave it out/],
    ['a policy beside it', ['policy.json'], /a file of a policy and --template exclude each other/],
    [
      'a role that is not there',
      ['--role', 'Other', '--import', `network-Id=${resourceId}`],
      /no such role or function; there is Role/,
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      write('orders.yaml', importing)
      write('network.yaml', network)
      const { status, stdout, stderr } = check(['--template', 'orders.yaml', ...user, ...region, ...args])
      assert.deepEqual([status, stdout], [2, ''], stderr)
      assert.match(stderr, message)
    })
  }

  it('refuses what is no template, what goes with one where there is none, and a place that is not said', () => {
    write('orders.yaml', importing)
    write('policy.json', policy)
    for (const [args, message] of [
      [['--template', 'policy.json', ...app], /--template policy\.json: is an IAM policy and no template/],
      [['policy.json', '--import', 'a=b', ...app], /--import goes with --template/],
      [['policy.json', '--stack', 'a.yaml', ...app], /--stack goes with --template/],
      [['--template', 'orders.yaml', ...user], /--template needs --region, or AWS_REGION/],
      [
        ['--template', 'orders.yaml', ...user, ...region, '--import', 'network-Id=orders'],
        /--resource-id is missing/,
      ],
    ] as const) {
      const { status, stderr } = check(args)
      assert.equal(status, 2)
      assert.match(stderr, message)
    }
  })
})
