import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, describe, it } from 'node:test'
import { readTemplatePolicy, startDatabase } from 'rds-iam-kit'
import { find, synthesize } from './assembly.ts'
import { invoke } from './invoke.ts'

const region = 'eu-west-1'
const resourceId = 'db-ABCDEFGHIJKL01234'
const assembly = synthesize()
after(() => assembly[Symbol.dispose]())
const orders = assembly.readTemplate('Orders')
const database = assembly.readTemplate('Database')
const [instance] = find(database.Resources, 'AWS::RDS::DBInstance')
const [, ordersFunction] = find(orders.Resources, 'AWS::Lambda::Function', 'Orders/OrdersFunction/')
const { PGUSER, PGDATABASE } = ordersFunction.Properties.Environment.Variables
const bundleOf = (path: string) => {
  const [, { Metadata }] = find(orders.Resources, 'AWS::Lambda::Function', path)
  return { folder: assembly.pathOf(String(Metadata?.['aws:asset:path'])), file: 'index.mjs' }
}

describe('what the kit reads of the templates', () => {
  const check = (args: readonly string[]) => {
    const template = ['--template', assembly.pathOf('Orders.template.json'), '--region', region]
    const { status, stdout, stderr } = spawnSync('npx', ['rds-iam', 'check', ...template, ...args], {
      encoding: 'utf8',
    })
    return { status, output: `${stdout}${stderr}` }
  }
  const ofDatabase = ['--stack', assembly.pathOf('Database.template.json')]
  const given = [...ofDatabase, '--parameter', `Database/${instance}.DbiResourceId=${resourceId}`]
  const exported = Object.values(database.Outputs ?? {}).flatMap(output => {
    const { Value, Export } = output as { Value: Record<string, unknown>; Export?: { Name: string } }
    return String(Value['Fn::GetAtt']) === `${instance},DbiResourceId` ? [Export?.Name] : []
  })

  for (const role of [[], ['--role', 'OrdersFunction'], ['--role', 'Orders/OrdersFunction/ServiceRole']])
    it(`the function may connect as its user, ${role.join(' ') || 'the only role that may'}`, () => {
      const { status, output } = check([...given, ...role, '--user', 'orders_app'])
      assert.equal(status, 0, output)
      assert.match(output, new RegExp(`^may connect: .*:dbuser:${resourceId}/orders_app\n$`))
    })

  it('by the value of the export, too', () => {
    const { status, output } = check(['--import', `${exported[0]}=${resourceId}`, '--user', 'orders_app'])
    assert.equal(status, 0, output)
    assert.deepEqual([exported.length, exported[0]?.startsWith('Database:')], [1, true])
  })

  it('but as nobody else, and in no other database', () => {
    for (const user of ['orders_admin', 'orders_app2', 'Orders_app']) {
      const { status, output } = check([...given, '--user', user])
      assert.equal(status, 1, output)
      assert.match(output, new RegExp(`is for the user "orders_app", not "${user}"`))
    }
    const other = check([...given, '--user', 'orders_app', '--resource-id', 'db-OTHER'])
    assert.equal(other.status, 1, other.output)
    assert.match(other.output, /is for the database db-ABCDEFGHIJKL01234, not db-OTHER/)
  })

  it('and the functions of the custom resource may not connect by a token at all', () => {
    for (const role of ['Orders/OrdersUser/SqlFunction', 'Orders/OrdersUser/Handler']) {
      const { status, output } = check([...given, '--role', role, '--user', 'orders_app'])
      assert.equal(status, 2, output)
      assert.match(output, /has no statement for rds-db:connect/)
    }
  })
})

describe('the bundled function, by the policy of the templates', () => {
  const document = readTemplatePolicy(orders, {
    region,
    role: 'OrdersFunction',
    stacks: [
      { name: 'Database', template: database, parameters: { [`${instance}.DbiResourceId`]: resourceId } },
    ],
  })
  const start = (of: string) =>
    startDatabase({
      engine: 'postgres',
      users: [PGUSER, 'orders_admin'],
      database: PGDATABASE,
      region,
      setup: `CREATE TABLE orders (id serial PRIMARY KEY, total integer NOT NULL);
        INSERT INTO orders (total) VALUES (12), (30)`,
      policy: { document, resourceId: of },
    })

  it('reads rows as its user, and is refused as another one', async () => {
    await using server = await start(resourceId)
    const bundle = bundleOf('Orders/OrdersFunction/')
    assert.deepEqual(await invoke(bundle, server.environment), {
      result: [
        { id: 1, total: 12 },
        { id: 2, total: 30 },
      ],
    })
    assert.deepEqual(
      server.decisions.map(({ verdict, user }) => ({ verdict, user })),
      [{ verdict: 'admitted', user: 'orders_app' }],
    )
    const { error } = await invoke(bundle, { ...server.environment, PGUSER: 'orders_admin' })
    assert.equal(error?.code, 'RDS_IAM_ACCESS_DENIED')
    const refused = server.decisions.slice(1)
    assert.ok(refused.length > 0)
    for (const { verdict, reason } of refused)
      assert.deepEqual({ verdict, reason }, { verdict: 'refused', reason: 'NotAuthorized' })
  })

  it('is refused where the database is another one', async () => {
    await using server = await start('db-ANOTHERDATABASE012')
    const { error } = await invoke(bundleOf('Orders/OrdersFunction/'), server.environment)
    assert.equal(error?.code, 'RDS_IAM_ACCESS_DENIED')
    assert.equal(server.stats().admitted, 0)
  })
})

describe('the custom resource', () => {
  const [userId, { Properties, DependsOn = [] }] = find(orders.Resources, 'Custom::DatabaseUser')
  const [handlerId, handler] = find(orders.Resources, 'AWS::Lambda::Function', 'Orders/OrdersUser/Handler/')
  const [sqlId, sql] = find(orders.Resources, 'AWS::Lambda::Function', 'Orders/OrdersUser/SqlFunction/')

  it('asks for what its function is told that it may ask for', () => {
    const { Variables } = handler.Properties.Environment
    assert.deepEqual(
      [Properties.Host, Properties.Port, Properties.Database, Properties.User, Properties.MasterSecretArn],
      [
        Variables.DATABASE_HOST,
        Variables.DATABASE_PORT,
        Variables.DATABASE_NAME,
        Variables.DATABASE_USER,
        Variables.MASTER_SECRET_ARN,
      ],
    )
    assert.equal(Properties.Setup.join(';;'), Variables.SETUP)
    assert.equal(Properties.Grants.join(';;'), Variables.GRANTS)
    assert.deepEqual([Properties.User, Properties.Database], [PGUSER, PGDATABASE])
    assert.deepEqual(Variables.SQL_FUNCTION, { Ref: sqlId })
    assert.deepEqual(Variables.STACK_ID, { Ref: 'AWS::StackId' })
    assert.equal(Variables.LOGICAL_RESOURCE_ID, userId)
    const { STACK_ID, DATABASE_HOST, DATABASE_PORT } = Variables
    assert.deepEqual(sql.Properties.Environment.Variables, { STACK_ID, DATABASE_HOST, DATABASE_PORT })
  })

  it('waits for the way to the database and for all rights, and goes before they do', () => {
    const needed = Object.entries(orders.Resources).flatMap(([id, { Type, Metadata }]) => {
      const path = String(Metadata?.['aws:cdk:path'])
      return /^AWS::EC2::SecurityGroup(In|E)gress$/.test(Type) ||
        path.startsWith('Orders/OrdersUser/Handler/')
        ? [id]
        : []
    })
    assert.ok(needed.includes(handlerId) && needed.length > 5, String(needed))
    assert.deepEqual(
      needed.filter(id => !DependsOn.includes(id)),
      [],
    )
    assert.ok(DependsOn.includes(sqlId))
  })

  it('has one function in the VPC and one outside, and only that one may read the secret and the events', () => {
    assert.equal(handler.Properties.VpcConfig, undefined)
    assert.notEqual(sql.Properties.VpcConfig, undefined)
    for (const action of ['secretsmanager:GetSecretValue', 'cloudformation:DescribeStackEvents']) {
      const readers = Object.values(orders.Resources).filter(
        ({ Type, Properties }) => Type === 'AWS::IAM::Policy' && JSON.stringify(Properties).includes(action),
      )
      assert.deepEqual(
        readers.map(({ Metadata }) => Metadata?.['aws:cdk:path']),
        ['Orders/OrdersUser/Handler/ServiceRole/DefaultPolicy/Resource'],
      )
    }
  })

  it('has bundles that load, and refuse what is no request', async () => {
    const outside = await invoke(bundleOf('Orders/OrdersUser/Handler/'), { AWS_REGION: region })
    assert.match(String(outside.error?.message), /^Not a request of CloudFormation/)
    const inside = await invoke(bundleOf('Orders/OrdersUser/SqlFunction/'), { AWS_REGION: region })
    assert.match(JSON.stringify(inside.result), /no task of the function that answers CloudFormation/)
  })
})

it('no function reaches anything but the database', () => {
  const groups = [orders, database].flatMap(({ Resources }) =>
    Object.values(Resources).filter(({ Type }) => Type === 'AWS::EC2::SecurityGroup'),
  )
  assert.equal(groups.length, 2)
  for (const { Properties } of groups)
    for (const { CidrIp } of Properties.SecurityGroupEgress)
      assert.match(CidrIp, /^(127\.0\.0\.1|255\.255\.255\.255)\/32$/)
})
