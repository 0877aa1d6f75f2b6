import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import type { Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { after, describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { nodeFlags } from '../../../test/support/node-process.ts'
import { startTlsPostgres } from '../../../test/support/tls-postgres.ts'
import { describeAnyMysql, tryMysql } from '../gateway/mysql-support.ts'
import { startRelay } from '../gateway/relay.ts'
import { makeClient, openPostgres, openWire, region, signToken, tryConnect } from '../gateway/support.ts'

const cli = fileURLToPath(new URL('../../src/cli/rds-iam.ts', import.meta.url))
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rds-iam-gateway-test-')))
after(() => rmSync(folder, { recursive: true }))
// The authority is kept there.
const project = join(folder, 'project')
mkdirSync(join(project, 'below'), { recursive: true })
writeFileSync(join(project, 'package.json'), '{}')
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_')),
)

interface Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly gateway: Parameters<typeof makeClient>[0]
  readonly caFile: string
  nextLine(): Promise<string>
}

async function start(t: TestContext, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const child = spawn(process.execPath, [...nodeFlags, cli, 'gateway', ...args], {
    env: { ...environment, ...env },
    cwd: join(project, 'below'),
  })
  t.after(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr.on('data', chunk => {
    errors += chunk
  })
  const nextLine = readLines(createInterface(child.stdout), () => errors)
  const port = Number(/^Listening on [\d.]+:(\d+) as /.exec(await nextLine())?.[1])
  const caFile = /^Trust the certificate in (.+)$/.exec(await nextLine())?.[1] ?? ''
  const gateway = { port, ca: readFileSync(caFile, 'utf8') } as Running['gateway']
  return { child, gateway, caFile, nextLine }
}

/** Runs a gateway that does not start. */
async function refuses(args: string[], message: RegExp): Promise<void> {
  const child = spawn(process.execPath, [...nodeFlags, cli, 'gateway', ...args], {
    env: environment,
    cwd: project,
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', chunk => {
    stdout += chunk
  })
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  const [status] = await once(child, 'close')
  assert.match(stderr, message)
  assert.match(stderr, /^error: .*\nTry rds-iam gateway --help\.\n$/)
  assert.deepEqual([status, stdout], [2, ''])
}

/** Where this machine is reached from others. */
function addressBeyondLoopback(): string | undefined {
  return Object.values(networkInterfaces())
    .flat()
    .find(found => found?.family === 'IPv4' && !found.internal)?.address
}

const portOf = (server: Server) => (server.address() as { port: number }).port

function readLines(lines: Interface, errors: () => string): () => Promise<string> {
  const iterator = lines[Symbol.asyncIterator]()
  return async () => {
    const { value, done } = await iterator.next()
    if (done) throw new Error(`the gateway ended: ${errors()}`)
    return value
  }
}

// First in the file: tests that are told of while the servers start would be taken for all that there are.
await describeAnyMysql({ after }, server => {
  it('says which engine it is where it was taken for PostgreSQL', () =>
    refuses(
      ['--upstream', `127.0.0.1:${server.port}`, '--region', region],
      /does not answer as PostgreSQL in 5 s: MySQL and MariaDB are the engine mysql/,
    ))

  it('is for MySQL and MariaDB with --engine mysql', async t => {
    const args = ['--engine', 'mysql', '--upstream', `127.0.0.1:${server.port}`, '--region', region]
    const { gateway, nextLine } = await start(t, args)
    assert.equal(await tryMysql(gateway), undefined)
    assert.match(await nextLine(), /Z admitted "app" to "orders" from 127\.0\.0\.1:\d+ \(TLSv1\.3\): /)
  })
})

describe('a gateway from the command line', () => {
  it('lets in who may, says one line for each decision, and ends on SIGTERM and SIGINT', async t => {
    const postgres = await openPostgres(t)
    const policy = join(folder, 'policy.json')
    const caPath = join(folder, 'ca.pem')
    const arn = `arn:aws:rds-db:${region}:123456789012:dbuser:db-X/app`
    const statement = { Effect: 'Allow', Action: 'rds-db:connect', Resource: arn }
    writeFileSync(policy, JSON.stringify({ Version: '2012-10-17', Statement: statement }))
    const common = ['--upstream', `127.0.0.1:${postgres.port}`, '--region', region]
    const strict = [
      '--policy',
      policy,
      '--resource-id',
      'db-X',
      '--user',
      'app',
      '--user',
      'App',
      '--ca-file',
      caPath,
    ]
    const keys = {
      AWS_ACCESS_KEY_ID: 'AKIAMINE',
      AWS_SECRET_ACCESS_KEY: 'my-secret',
      AWS_SESSION_TOKEN: 'my-session',
    }
    const endpoint = 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432'
    const running = await start(t, [...common, ...strict, '--limit', '50', '--endpoint', endpoint], keys)
    const { gateway, nextLine } = running
    assert.equal(running.caFile, caPath)

    assert.equal(await tryConnect(makeClient(gateway)), undefined)
    const line = await nextLine()
    assert.match(line, /^\d{4}-\S+Z admitted "app" to "orders" from 127\.0\.0\.1:\d+ \(TLSv1\.3\): /)
    const credentials = { accessKeyId: 'AKIAMINE', secretAccessKey: 'my-secret', sessionToken: 'my-session' }
    const [hostname = '', port] = endpoint.split(':')
    const own = await signToken(gateway, { credentials, hostname, port: Number(port) })
    assert.equal(await tryConnect(makeClient(gateway, own)), undefined)
    assert.match(await nextLine(), /admitted .*"AKIAMINE"/)
    const token = await signToken(gateway, { username: 'App' })
    assert.equal((await tryConnect(makeClient(gateway, token, { user: 'App' })))?.code, '28000')
    const refused = await nextLine()
    assert.match(refused, / refused "App" to "orders" .*: NotAuthorized: /)
    for (const secret of ['my-secret', 'my-session']) assert.ok(!`${line}${refused}`.includes(secret))

    const idle = makeClient(gateway)
    await idle.connect()
    running.child.kill('SIGTERM')
    assert.deepEqual(await once(running.child, 'exit'), [0, null])
    await assert.rejects(openWire(t, gateway.port))

    const other = await start(t, common)
    assert.equal(other.caFile, join(project, '.rds-iam', 'ca.pem'))
    assert.equal(other.gateway.ca, gateway.ca, 'the authority is the one of the last start')
    // As npm does with a signal that a terminal has sent to everybody.
    for (const _ of [1, 2]) other.child.kill('SIGINT')
    assert.deepEqual(await once(other.child, 'exit'), [0, null])
    assert.equal(readFileSync(other.caFile, 'utf8'), gateway.ca)
  })
})

describe('a gateway with a template', () => {
  it('lets in whom the template will let in, and nobody else', async t => {
    const postgres = await openPostgres(t)
    const template = join(import.meta.dirname, '..', '..', '..', 'template.yaml')
    const parameters = ['DbiResourceId=db-X', 'DatabaseUser=app'].flatMap(text => ['--parameter', text])
    const upstream = ['--upstream', `127.0.0.1:${postgres.port}`, '--region', region]
    const policy = ['--template', template, ...parameters, '--resource-id', 'db-X']
    const { gateway, nextLine } = await start(t, [...upstream, ...policy])
    assert.equal(await tryConnect(makeClient(gateway)), undefined)
    assert.match(await nextLine(), / admitted "app" /)
    assert.notEqual(
      await tryConnect(makeClient(gateway, () => signToken(gateway, { username: 'App' }), { user: 'App' })),
      undefined,
    )
    assert.match(await nextLine(), / refused "App" .*: NotAuthorized: /)

    const wrong = await start(t, [...upstream, ...policy.slice(0, -1), 'db-Y'])
    assert.notEqual(await tryConnect(makeClient(wrong.gateway)), undefined)
    assert.match(await wrong.nextLine(), / refused "app" .*: NotAuthorized: .*dbuser:db-Y\/app/)
  })
})

describe('a server behind it', () => {
  it('is logged in to over verified TLS, with the password of the variable, which nobody sees', async t => {
    const rules = 'hostssl all app 127.0.0.1/32 scram-sha-256'
    const { server, ca } = await startTlsPostgres(rules, { names: ['elsewhere'] })
    await server.query("CREATE USER app PASSWORD 'upstream-secret'")
    await server.query('CREATE DATABASE orders')
    const caPath = join(folder, 'upstream-ca.pem')
    writeFileSync(caPath, ca)
    const args = ['--upstream', `127.0.0.1:${server.port}`, '--region', region]
    const secret = { RDS_IAM_GATEWAY_UPSTREAM_PASSWORD: 'upstream-secret' }
    const right = await start(t, [...args, '--upstream-ca', caPath], secret)
    assert.equal(await tryConnect(makeClient(right.gateway)), undefined)
    const line = await right.nextLine()
    assert.match(line, / admitted "app" /)
    assert.ok(!line.includes('upstream-secret'))
    const without = await start(t, [...args, '--upstream-ca', caPath])
    assert.match(
      (await tryConnect(makeClient(without.gateway)))?.message ?? '',
      /it wants a password: .*RDS_IAM_GATEWAY_UPSTREAM_PASSWORD/,
    )
    assert.match(await without.nextLine(), / refused "app" .*InternalError: .*it wants a password/)
    await refuses(
      [...args, '--upstream-ca', right.caFile],
      /does not trust the server behind it: .*SELF_SIGNED/,
    )
  })

  it('may have its certificate from an authority of Node.js or of this machine', async t => {
    const address = addressBeyondLoopback()
    // Without a network of its own, as in a sandbox, there is nowhere beyond loopback to put a server.
    if (address === undefined) return t.skip('this machine has no address beyond loopback')
    const { server, ca } = await startTlsPostgres('hostssl all app 127.0.0.1/32 trust', { names: [address] })
    await server.query('CREATE USER app')
    await server.query('CREATE DATABASE orders')
    const relay = await startRelay(t, server, address)
    const extra = join(folder, 'extra-ca.pem')
    writeFileSync(extra, ca)
    const args = ['--upstream', `${address}:${relay.port}`, '--region', region]
    const { gateway } = await start(t, args, { NODE_EXTRA_CA_CERTS: extra })
    assert.equal(await tryConnect(makeClient(gateway)), undefined)
    await refuses(
      args,
      /does not trust the server behind it: .*does not come from an authority that the gateway knows/,
    )
  })

  it('is looked at before anything is started, so that a wrong one ends with 2', async t => {
    const postgres = await openPostgres(t)
    const web = createHttpServer((_, response) => response.end()).listen(0, '127.0.0.1')
    const down = createHttpServer().listen(0, '127.0.0.1')
    await Promise.all([once(web, 'listening'), once(down, 'listening')])
    t.after(() => web.close())
    const downPort = portOf(down)
    down.close()
    const words = (name: string) =>
      new RegExp(`--upstream: the server at 127.0.0.1:\\d+ does not answer as ${name} in 5 s: `)
    const at = (port: number, ...more: string[]) => [
      '--upstream',
      `127.0.0.1:${port}`,
      '--region',
      region,
      ...more,
    ]
    await Promise.all([
      refuses(
        at(downPort),
        /--upstream: there is no server at 127\.0\.0\.1:\d+ \(ECONNREFUSED\): start it, or correct/,
      ),
      refuses(
        ['--upstream', 'db.invalid:5432', '--region', region],
        /there is no server at db\.invalid:5432 \((ENOTFOUND|EAI_AGAIN)\)/,
      ),
      refuses(at(portOf(web)), words('PostgreSQL')),
      refuses(at(portOf(web), '--engine', 'mysql'), words('MySQL or MariaDB')),
      refuses(at(postgres.port, '--engine', 'mysql'), /PostgreSQL is the engine postgres/),
      refuses(at(postgres.port, '--ca-file', join(folder, 'no', 'ca.pem')), /--ca-file: ENOENT/),
      refuses(
        at(postgres.port, '--port', String(portOf(web))),
        /port is in use; give another one.*EADDRINUSE/,
      ),
    ])
  })
})

it('beyond loopback does not take the pair that everybody knows beside one of its own, and says so', async t => {
  const address = addressBeyondLoopback()
  // Without a network of its own, as in a sandbox, there is nowhere beyond loopback to listen at.
  if (address === undefined) return t.skip('this machine has no address beyond loopback')
  const postgres = await openPostgres(t)
  const keys = { AWS_ACCESS_KEY_ID: 'AKIAMINE', AWS_SECRET_ACCESS_KEY: 'my-secret' }
  const args = ['--upstream', `127.0.0.1:${postgres.port}`, '--region', region, '--host', address]
  const { gateway, nextLine } = await start(t, args, keys)
  assert.match(
    await nextLine(),
    /^The key pair defaultkey is refused, because everybody knows it: sign with AKIAMINE$/,
  )
  const credentials = { accessKeyId: 'AKIAMINE', secretAccessKey: 'my-secret' }
  const connect = async (token: string) =>
    tryConnect(
      makeClient(gateway, token, { host: address, ssl: { ca: gateway.ca, servername: 'localhost' } }),
    )
  assert.equal(await connect(await signToken(gateway, { credentials })), undefined)
  assert.equal((await connect(await signToken(gateway)))?.code, '28000')
})

describe('a gateway with the templates of two stacks', () => {
  const orders = join(folder, 'orders.yaml')
  const network = join(folder, 'network.yaml')
  const arn = 'arn:aws:rds-db:*:*:dbuser:'
  writeFileSync(
    orders,
    `
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Version: 2012-10-17
            Statement:
              - { Effect: Allow, Action: rds-db:connect, Resource: !Sub ["${arn}\${Id}/app", { Id: !ImportValue network-Id }] }
              - { Effect: Allow, Action: rds-db:connect, Resource: !Sub "${arn}*/\${!aws:PrincipalTag/user}" }
`,
  )
  writeFileSync(
    network,
    `
Resources: { Cluster: { Type: AWS::RDS::DBCluster } }
Outputs: { Id: { Value: !GetAtt Cluster.DBClusterResourceId, Export: { Name: network-Id } } }
`,
  )

  it('lets in by what the other exports, for which one value serves all, and nobody on "depends"', async t => {
    const postgres = await openPostgres(t)
    const base = ['--upstream', `127.0.0.1:${postgres.port}`, '--region', region, '--template', orders]
    for (const values of [
      ['--import', 'network-Id=cluster-ABC'],
      ['--stack', network, '--parameter', 'network/Cluster.DBClusterResourceId=cluster-ABC'],
    ]) {
      const { gateway, nextLine } = await start(t, [...base, ...values])
      assert.equal(await tryConnect(makeClient(gateway)), undefined)
      assert.match(await nextLine(), / admitted "app" .*dbuser:cluster-ABC\/app$/)
      const token = await signToken(gateway, { username: 'App' })
      assert.equal((await tryConnect(makeClient(gateway, token, { user: 'App' })))?.code, '28000')
      assert.match(
        await nextLine(),
        / refused "App" .*: NotAuthorized: .*; whether .* depends on the policy variable \$\{aws:PrincipalTag\/user\} in statement 2$/,
      )
    }
  })
})

describe('a wrong command line ends with 2 and says what is wrong', () => {
  const broken = join(folder, 'broken.json')
  writeFileSync(broken, '{ "Version": ')
  const malformed = join(folder, 'malformed.yaml')
  writeFileSync(malformed, 'Resources:\n  Role: [')
  const unresolved = join(folder, 'unresolved.yaml')
  const statement = 'Statement: { Effect: Allow, Action: rds-db:connect, Resource: !Ref Missing }'
  const policies = `Policies: [{ PolicyDocument: { ${statement} } }]`
  writeFileSync(unresolved, `Resources: { Role: { Type: AWS::IAM::Role, Properties: { ${policies} } } }`)
  const right = join(folder, 'right.json')
  writeFileSync(right, '{ "Version": "2012-10-17", "Statement": [] }')
  const upstream = ['--upstream', '127.0.0.1:5432']
  const cases: [string, string[], RegExp][] = [
    ['nothing', [], /--upstream host:port is needed/],
    ['an unknown option', [...upstream, '--regoin', 'x'], /Unknown option '--regoin'/],
    ['a stray word', [...upstream, 'start'], /Unexpected argument 'start'/],
    ['no Region', upstream, /--region is needed, or AWS_REGION/],
    [
      'an upstream without a port',
      ['--upstream', 'localhost', '--region', region],
      /--upstream is not host:port; got "localhost"/,
    ],
    [
      'a port that is none',
      [...upstream, '--region', region, '--port', 'x'],
      /--port is not a whole number; got "x"/,
    ],
    [
      'an engine that there is none of',
      [...upstream, '--region', region, '--engine', 'oracle'],
      /--engine is neither postgres nor mysql; got "oracle"/,
    ],
    [
      'a limit of nothing',
      [...upstream, '--region', region, '--limit', '0'],
      /- --limit is not a whole number of at least 1; got 0/,
    ],
    [
      'a wrong Region',
      [...upstream, '--region', 'Ireland'],
      /- --region is not the name of a Region, such as eu-west-1; got "Ireland"/,
    ],
    [
      'a policy without what it is for',
      [...upstream, '--region', region, '--policy', broken],
      /--policy needs --resource-id/,
    ],
    [
      'a template without what it is for',
      [...upstream, '--region', region, '--template', 'template.yaml'],
      /--template needs --resource-id/,
    ],
    [
      'a template that imports what has no value',
      [...upstream, '--region', region, '--template', join(folder, 'orders.yaml'), '--resource-id', 'db-X'],
      /the export network-Id has no value: give it with --import 'network-Id=…', or the template of the stack/,
    ],
    [
      'a policy for a template',
      [...upstream, '--region', region, '--template', right, '--resource-id', 'db-X'],
      /--template .*right\.json: is an IAM policy and no template/,
    ],
    [
      'a template for a policy',
      [...upstream, '--region', region, '--policy', unresolved, '--resource-id', 'db-X'],
      /--policy .*unresolved\.yaml: is a template of CloudFormation: give it with --template/,
    ],
    [
      'an import without a template',
      [...upstream, '--region', region, '--import', 'a=b'],
      /--import goes with --template/,
    ],
    [
      'a policy and a template',
      [...upstream, '--region', region, '--policy', 'p', '--template', 't', '--resource-id', 'db-X'],
      /--policy and --template exclude each other/,
    ],
    [
      'two policies, the first of which would be passed over',
      [...upstream, '--region', region, '--policy', right, '--policy', broken, '--resource-id', 'db-X'],
      /--policy is given twice/,
    ],
    [
      'two values for a parameter',
      [
        ...upstream,
        ...['--region', region, '--template', unresolved, '--resource-id', 'db-X'],
        ...['--parameter', 'Missing=a', '--parameter', 'Missing=b'],
      ],
      /--parameter Missing is given twice/,
    ],
    [
      'a parameter without a template',
      [...upstream, '--region', region, '--parameter', 'User=app'],
      /--parameter goes with --template/,
    ],
    [
      'a parameter without a value',
      [
        ...upstream,
        '--region',
        region,
        '--template',
        'template.yaml',
        '--resource-id',
        'db-X',
        '--parameter',
        'User',
      ],
      /--parameter is not Name=Value; got "User"/,
    ],
    [
      'a template whose references have no value',
      [...upstream, '--region', region, '--template', unresolved, '--resource-id', 'db-X'],
      /The template cannot be used: Resources\.Role\.Policies\[0\].*Missing is not known: give its value with --parameter Missing=/,
    ],
    [
      'a template that is no YAML',
      [...upstream, '--region', region, '--template', malformed, '--resource-id', 'db-X'],
      /--template .*malformed\.yaml: .*line 2/s,
    ],
    [
      'a resource without a policy',
      [...upstream, '--region', region, '--resource-id', 'db-X'],
      /--resource-id goes with --policy or --template/,
    ],
    [
      'the name of an instance in place of its resource id',
      [...upstream, '--region', region, '--policy', right, '--resource-id', 'orders'],
      /- --resource-id is not a resource id .*DbiResourceId.*; got "orders"/,
    ],
    [
      'a policy that is no JSON',
      [...upstream, '--region', region, '--policy', broken, '--resource-id', 'db-X'],
      /--policy .*broken\.json: .*JSON/,
    ],
    [
      'a policy that is not there',
      [...upstream, '--region', region, '--policy', 'gone.json', '--resource-id', 'db-X'],
      /ENOENT/,
    ],
    [
      'an authority of the real server that is not there',
      [...upstream, '--region', region, '--upstream-ca', 'gone.pem'],
      /--upstream-ca: ENOENT/,
    ],
    [
      'an authority of the real server that is none',
      [...upstream, '--region', region, '--upstream-ca', broken],
      /- --upstream-ca holds no certificate; got a text of 13 characters/,
    ],
    [
      'an address that others reach, where everybody knows the key pair',
      [...upstream, '--region', region, '--host', '0.0.0.0', '--user', 'app'],
      /- --host is reached from other machines, where everybody knows the key pair defaultkey: give --user, and --policy or --template; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; got "0\.0\.0\.0"/,
    ],
  ]
  for (const [what, args, message] of cases) {
    it(what, () => {
      const { status, stderr, stdout } = spawnSync(
        process.execPath,
        [...nodeFlags, cli, 'gateway', ...args],
        {
          env: environment,
          encoding: 'utf8',
        },
      )
      assert.match(stderr, message)
      assert.match(stderr, /^error: /)
      assert.match(stderr, /^Try rds-iam gateway --help\.$/m)
      assert.ok(!stderr.includes('    at '), stderr)
      assert.equal(stdout, '')
      assert.equal(status, 2)
    })
  }

  it('and --help explains it', () => {
    const { status, stdout } = spawnSync(process.execPath, [...nodeFlags, cli, 'gateway', '--help'], {
      encoding: 'utf8',
    })
    assert.equal(status, 0)
    for (const option of [
      'upstream',
      'upstream-ca',
      'engine',
      'port',
      'region',
      'endpoint',
      'user',
      'policy',
      'template',
      'parameter',
      'role',
      'resource-id',
      'limit',
      'ca-file',
    ]) {
      assert.match(stdout, new RegExp(`--${option}\\b`))
    }
  })
})
