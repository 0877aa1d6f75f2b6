import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { unzipSync } from 'fflate'
import { type CloudFormationTemplate, parseTemplate, readTemplatePolicy, startDatabase } from 'rds-iam-kit'
import { invoke } from './invoke.ts'

const region = 'eu-west-1'
const resourceId = 'db-ABCDEFGHIJKL01234'
const project = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'serverless-'))
after(() => rmSync(folder, { recursive: true, force: true }))
execFileSync('npx', ['osls', 'package', '--package', folder], {
  cwd: project,
  env: { ...process.env, AWS_EC2_METADATA_DISABLED: 'true' },
  stdio: 'inherit',
})

interface Template extends CloudFormationTemplate {
  // biome-ignore lint/suspicious/noExplicitAny: each type of resource has others
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly Properties: any }>>
}
const file = join(folder, 'cloudformation-template-update-stack.json')
const read = (path: string) => parseTemplate(readFileSync(path, 'utf8')) as Template
const service = read(file)
const database = read(join(project, 'database.yml'))
const variablesOf = (id: string) => service.Resources[id]?.Properties.Environment.Variables
const { PGUSER, PGDATABASE } = variablesOf('OrdersLambdaFunction')

/** What is deployed of a function, in a folder. */
function unpack(name: string): string {
  for (const [path, bytes] of Object.entries(unzipSync(readFileSync(join(folder, `${name}.zip`))))) {
    mkdirSync(dirname(join(folder, name, path)), { recursive: true })
    writeFileSync(join(folder, name, path), bytes)
  }
  return join(folder, name)
}

describe('what the kit reads of the template', () => {
  const check = (args: readonly string[]) => {
    const all = ['rds-iam', 'check', '--template', file, '--region', region, ...args]
    const { status, stdout, stderr } = spawnSync('npx', all, { cwd: project, encoding: 'utf8' })
    return { status, output: `${stdout}${stderr}` }
  }
  const ofDatabase = [
    '--stack',
    'database.yml',
    '--parameter',
    `database/Instance.DbiResourceId=${resourceId}`,
  ]
  const imported = ['--import', `orders-database-ResourceId=${resourceId}`]

  for (const given of [ofDatabase, imported, [...imported, '--role', 'OrdersLambdaFunction']])
    it(`the function may connect as its user: ${given[0]} ${given.slice(2)}`, () => {
      const { status, output } = check([...given, '--user', 'orders_app'])
      assert.equal(status, 0, output)
      assert.match(output, new RegExp(`^may connect: .*:dbuser:${resourceId}/orders_app\n$`))
    })

  it('but as nobody else, and in no other database', () => {
    const admin = check([...imported, '--user', 'orders_admin'])
    assert.equal(admin.status, 1, admin.output)
    assert.match(admin.output, /is for the user "orders_app", not "orders_admin"/)
    const other = check([...imported, '--user', 'orders_app', '--resource-id', 'db-OTHER'])
    assert.equal(other.status, 1, other.output)
    assert.match(other.output, /is for the database db-ABCDEFGHIJKL01234, not db-OTHER/)
  })

  it('and the functions of the custom resource may not connect by a token at all', () => {
    for (const role of ['DatabaseUserLambdaFunction', 'DatabaseUserSqlLambdaFunction']) {
      const { status, output } = check([...imported, '--role', role, '--user', 'orders_app'])
      assert.equal(status, 2, output)
      assert.match(output, /has no statement for rds-db:connect/)
    }
  })
})

describe('the packaged function, by the policy of the template', () => {
  const document = readTemplatePolicy(service, {
    region,
    imports: { 'orders-database-ResourceId': resourceId },
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
  const bundle = { folder: unpack('orders'), file: 'src/orders.mjs' }

  it('reads rows as its user, and is refused as another one', async () => {
    await using server = await start(resourceId)
    assert.deepEqual(await invoke(bundle, server.environment), {
      result: [
        { id: 1, total: 12 },
        { id: 2, total: 30 },
      ],
    })
    const { error } = await invoke(bundle, { ...server.environment, PGUSER: 'orders_admin' })
    assert.equal(error?.code, 'RDS_IAM_ACCESS_DENIED')
    const [admitted, ...refused] = server.decisions
    assert.deepEqual([admitted?.verdict, admitted?.user], ['admitted', 'orders_app'])
    assert.ok(refused.length > 0 && refused.every(({ reason }) => reason === 'NotAuthorized'))
  })

  it('is refused where the database is another one', async () => {
    await using server = await start('db-ANOTHERDATABASE012')
    const { error } = await invoke(bundle, server.environment)
    assert.equal(error?.code, 'RDS_IAM_ACCESS_DENIED')
    assert.equal(server.stats().admitted, 0)
  })
})

describe('the custom resource', () => {
  it('asks for what its function is told that it may ask for', () => {
    const { Properties } = service.Resources.OrdersUser ?? assert.fail()
    const variables = variablesOf('DatabaseUserLambdaFunction')
    assert.deepEqual(variables, {
      SQL_FUNCTION: { Ref: 'DatabaseUserSqlLambdaFunction' },
      STACK_ID: { Ref: 'AWS::StackId' },
      LOGICAL_RESOURCE_ID: 'OrdersUser',
      DATABASE_HOST: Properties.Host,
      DATABASE_PORT: Properties.Port,
      DATABASE_NAME: Properties.Database,
      DATABASE_USER: Properties.User,
      MASTER_SECRET_ARN: Properties.MasterSecretArn,
      SETUP: Properties.Setup.join(';;'),
      GRANTS: Properties.Grants.join(';;'),
    })
    const { STACK_ID, DATABASE_HOST, DATABASE_PORT } = variables
    assert.deepEqual(variablesOf('DatabaseUserSqlLambdaFunction'), { STACK_ID, DATABASE_HOST, DATABASE_PORT })
    assert.deepEqual([Properties.User, Properties.Database], [PGUSER, PGDATABASE])
    const role = service.Resources.DatabaseUserRole ?? assert.fail()
    const [{ PolicyDocument }] = role.Properties.Policies
    const events = { Action: 'cloudformation:DescribeStackEvents', Resource: { Ref: 'AWS::StackId' } }
    assert.deepEqual(PolicyDocument.Statement[0], { Effect: 'Allow', ...events })
  })

  it('takes what it needs from exports that the database has', () => {
    const names = Object.values(database.Outputs ?? {}).map(output => (output as Exported).Export.Name)
    const imports = JSON.stringify(service).matchAll(/"Fn::ImportValue":"([^"]*)"/g)
    const missing = [...imports].flatMap(([, name = '']) => (names.includes(name) ? [] : [name]))
    assert.deepEqual(missing, [])
  })

  it('has packages that load, and refuse what is no request', async () => {
    const outside = { folder: unpack('databaseUser'), file: 'src/database-user.mjs' }
    const { error } = await invoke(outside, { AWS_REGION: region })
    assert.match(String(error?.message), /^Not a request of CloudFormation/)
    const inside = { folder: unpack('databaseUserSql'), file: 'src/database-user-sql.mjs' }
    const { result } = await invoke(inside, { AWS_REGION: region })
    assert.match(JSON.stringify(result), /no task of the function that answers CloudFormation/)
  })
})

interface Exported {
  readonly Export: { readonly Name: string }
}
