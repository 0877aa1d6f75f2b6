import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseTemplate, readTemplatePolicy, type TemplatePolicyOptions } from '../../src/index.ts'

const region = 'eu-west-1'
const arn = (resourceId: string, user: string) =>
  `arn:aws:rds-db:eu-west-1:123456789012:dbuser:${resourceId}/${user}`

const connect = (id: unknown, user: string) => ({
  Action: 'rds-db:connect',
  Effect: 'Allow',
  Resource: {
    'Fn::Join': [
      '',
      [
        ...[
          'arn:',
          { Ref: 'AWS::Partition' },
          ':rds-db:',
          { Ref: 'AWS::Region' },
          ':',
          { Ref: 'AWS::AccountId' },
        ],
        ...[':dbuser:', id, `/${user}`],
      ],
    ],
  },
})

/** What the CDK makes of a function that is granted a connection: a role, its policy, the function. */
function makeFunction(path: string, statement: unknown, hashes: readonly [string, string, string]) {
  const id = path.split('/').slice(1).join('')
  const [role, policy, handler] = [
    `${id}ServiceRole${hashes[0]}`,
    `${id}ServiceRoleDefaultPolicy${hashes[1]}`,
    `${id}${hashes[2]}`,
  ]
  return {
    [role]: {
      Type: 'AWS::IAM::Role',
      Properties: { AssumeRolePolicyDocument: {} },
      Metadata: { 'aws:cdk:path': `${path}/ServiceRole/Resource` },
    },
    [policy]: {
      Type: 'AWS::IAM::Policy',
      Properties: {
        PolicyDocument: { Statement: [statement], Version: '2012-10-17' },
        PolicyName: policy,
        Roles: [{ Ref: role }],
      },
      Metadata: { 'aws:cdk:path': `${path}/ServiceRole/DefaultPolicy/Resource` },
    },
    [handler]: {
      Type: 'AWS::Lambda::Function',
      Properties: { Role: { 'Fn::GetAtt': [role, 'Arn'] } },
      Metadata: { 'aws:cdk:path': `${path}/Resource` },
    },
  }
}

const clusterExport = 'Db:ExportsOutputFnGetAttClusterEB0386A7DBClusterResourceId77E0EA54'
const proxyExport = 'Db:ExportsOutputFnGetAttProxyCB0DFB71DBProxyArn21545DA8'
const proxyId = { 'Fn::Select': [6, { 'Fn::Split': [':', { 'Fn::ImportValue': proxyExport }] }] }
const orders = parseTemplate(
  JSON.stringify({
    Resources: {
      ...makeFunction('Orders/List', connect({ 'Fn::ImportValue': clusterExport }, 'orders_app'), [
        ...(['DB3C27FE', '24A54E17', '125D1B59'] as const),
      ]),
      ...makeFunction('Orders/Api/Report', connect(proxyId, 'orders_report'), [
        ...(['BD4C43C9', 'E28D27BB', 'C847FC22'] as const),
      ]),
      ...makeFunction('Orders/ListAll', connect('db-ALL', 'all'), ['AAAA27FE', 'AAAA4E17', 'AAAA1B59']),
    },
  }),
)
const database = parseTemplate(
  JSON.stringify({
    Resources: {
      ClusterEB0386A7: { Type: 'AWS::RDS::DBCluster' },
      ProxyCB0DFB71: { Type: 'AWS::RDS::DBProxy' },
    },
    Outputs: {
      Cluster: {
        Value: { 'Fn::GetAtt': ['ClusterEB0386A7', 'DBClusterResourceId'] },
        Export: { Name: clusterExport },
      },
      Proxy: { Value: { 'Fn::GetAtt': ['ProxyCB0DFB71', 'DBProxyArn'] }, Export: { Name: proxyExport } },
    },
  }),
)
const stacks = [
  {
    name: 'Db',
    template: database,
    parameters: {
      'ClusterEB0386A7.DBClusterResourceId': 'cluster-ABC',
      'ProxyCB0DFB71.DBProxyArn': 'arn:aws:rds:eu-west-1:123456789012:db-proxy:prx-abc',
    },
  },
]

function resourcesOf(
  role: string | undefined,
  given: Partial<TemplatePolicyOptions> = {},
  template = orders,
) {
  const { Statement } = readTemplatePolicy(template, { region, stacks, role, ...given })
  return (Statement as { Resource: unknown }[]).map(({ Resource }) => Resource)
}

describe('what the CDK makes', () => {
  for (const role of [
    ...['ListServiceRoleDB3C27FE', 'List125D1B59', 'ListServiceRole', 'List', 'Orders/List/ServiceRole'],
    ...['Orders/List', 'List/ServiceRole', 'Orders/List/ServiceRole/Resource', 'ListServiceRoleDB'],
  ]) {
    it(`has the role of a function as ${role}`, () => {
      assert.deepEqual(resourcesOf(role), [arn('cluster-ABC', 'orders_app')])
    })
  }

  for (const role of ['ApiReport', 'Api/Report', 'Orders/Api', 'ApiReportServiceRole', 'Report/ServiceRole'])
    it(`has the role of a construct within another as ${role}, and the id of a proxy`, () =>
      assert.deepEqual(resourcesOf(role), [arn('prx-abc', 'orders_report')]))

  it('lists what could be meant where that is not one', () => {
    assert.throws(
      () => resourcesOf('Lis'),
      /Resources\.Lis: could be ListServiceRoleDB3C27FE \(Orders\/List\/ServiceRole\) or List125D1B59 \(Orders\/List\) or ListAllServiceRole.*: say which is meant/,
    )
    assert.throws(() => resourcesOf('Orders'), /could be .*Orders\/Api\/Report/)
    assert.throws(
      () => resourcesOf('Payments'),
      /Resources\.Payments: there is no such role or function; there is ListServiceRoleDB3C27FE \(Orders\/List\/ServiceRole\), /,
    )
  })

  it('takes values for its exports by their names', () => {
    const imports = { [clusterExport]: 'cluster-XYZ' }
    assert.deepEqual(resourcesOf('List', { imports, stacks: [] }), [arn('cluster-XYZ', 'orders_app')])
    assert.throws(
      () => resourcesOf('List', { stacks: [] }),
      new RegExp(`the export ${clusterExport} has no value`),
    )
  })
})

describe('a policy of the template', () => {
  const statement =
    '{ Effect: Allow, Action: rds-db:connect, Resource: "arn:aws:rds-db:*:*:dbuser:db-A/app" }'
  const document = `{ Version: "2012-10-17", Statement: ${statement} }`

  it('belongs to the role whose name it is attached to, in the template or elsewhere', () => {
    const template = parseTemplate(`
Resources:
  Role: { Type: AWS::IAM::Role, Properties: { RoleName: orders } }
  Policy: { Type: AWS::IAM::Policy, Properties: { Roles: [orders], PolicyDocument: ${document} } }
  Other: { Type: AWS::IAM::ManagedPolicy, Properties: { Roles: [payments], PolicyDocument: ${document} } }`)
    for (const role of ['Role', 'orders', 'payments']) assert.equal(resourcesOf(role, {}, template).length, 1)
    assert.throws(() => resourcesOf(undefined, {}, template), /Role and payments may connect/)
    assert.throws(() => resourcesOf('x', {}, template), /no such role or function; there is Role, payments/)
  })

  it('is none of a function that has a role already, as SAM has it', () => {
    const template = parseTemplate(`
Resources:
  Role: { Type: AWS::IAM::Role, Properties: {} }
  Fn: { Type: AWS::Serverless::Function, Properties: { Role: !GetAtt Role.Arn, Policies: [${document}] } }`)
    assert.throws(
      () => resourcesOf('Fn', {}, template),
      /Resources\.Role: has no statement for rds-db:connect/,
    )
  })

  it('may have the Sid of another one', () => {
    const named = document.replace('{ Effect', '{ Sid: Connect, Effect')
    const template = parseTemplate(`
Resources:
  Role: { Type: AWS::IAM::Role, Properties: { Policies: [{ PolicyDocument: ${named} }, { PolicyDocument: ${named} }] } }`)
    const { Statement } = readTemplatePolicy(template, { region })
    assert.deepEqual(
      Statement.map(statement => (statement as { Sid?: string }).Sid),
      ['Connect', undefined],
    )
  })
})
