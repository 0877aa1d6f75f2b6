import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Signer } from '@aws-sdk/rds-signer'
import { checkPolicy, connectPolicy, createUserSql, dropUserSql, trustedTls } from '../../../src/index.ts'
import { nodeFlags } from '../../../test/support/node-process.ts'

const cli = fileURLToPath(new URL('../../src/cli/rds-iam.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-cli-'))
after(() => rmSync(folder, { recursive: true }))

/** Nothing of this machine's own: neither credentials nor a Region. */
const environment = { PATH: process.env.PATH ?? '', HOME: folder, AWS_EC2_METADATA_DISABLED: 'true' }

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = '') {
  const options = { env: { ...environment, ...env }, cwd: folder, input, encoding: 'utf8' } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeFlags, cli, ...args], options)
  assert.doesNotMatch(stderr, /^ {4}at /m, 'no stack')
  return { status, stdout, stderr }
}

/** Runs what should work. */
function print(args: readonly string[], env?: Readonly<Record<string, string>>, input?: string): string {
  const { status, stdout, stderr } = run(args, env, input)
  assert.equal(stderr, '')
  assert.equal(status, 0)
  return stdout
}

const resourceId = 'db-ABCDEFGHIJKL01234'
const where = ['--region', 'eu-west-1', '--account-id', '123456789012']
const app = ['--resource-id', resourceId, '--user', 'app']
const policy = connectPolicy({ region: 'eu-west-1', accountId: '123456789012', resourceId, user: 'app' })

function write(name: string, content: unknown): string {
  writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  return name
}

describe('rds-iam', () => {
  it('explains itself and every command', () => {
    const help = print(['--help'])
    assert.equal(print(['-h']), help)
    const commands = [...help.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(match => match[1] ?? '')
    assert.deepEqual(commands, [
      ...['policy', 'check', 'users', 'token', 'ca', 'exec', 'diagnose', 'proxy', 'dev', 'gateway'],
    ])
    for (const command of commands) {
      const text = print([command, '--help'])
      assert.match(text, new RegExp(`^rds-iam ${command}: `))
      const source = readFileSync(new URL(`../../src/cli/${command}.ts`, import.meta.url), 'utf8')
      const options = [...source.matchAll(/^\s+'?([\w-]+)'?: \{ type: '/gm)].map(match => match[1] ?? '')
      assert.ok(options.length >= (command === 'ca' ? 1 : 4))
      for (const option of options) assert.match(text, new RegExp(`--${option}\\b`), option)
    }
  })

  it('ends as it would where nobody reads to the end', async () => {
    for (const [args, status] of [
      [['--help'], 0],
      [['check', write('nothing.json', 'null'), ...app], 1],
    ] as const) {
      const child = spawn(process.execPath, [...nodeFlags, cli, ...args], { env: environment, cwd: folder })
      child.stdout.destroy()
      const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
      assert.deepEqual([code, errors], [status, ''])
    }
  })

  const full = existsSync('/dev/full') ? false : 'there is no /dev/full on this machine'
  it('says that it cannot write', { skip: full }, () => {
    const stdio = ['ignore', openSync('/dev/full', 'w'), 'pipe'] as const
    const { status, stderr } = spawnSync(process.execPath, [...nodeFlags, cli, '--help'], {
      env: environment,
      stdio: [...stdio],
      encoding: 'utf8',
    })
    assert.match(stderr, /^error: the standard output cannot be written: ENOSPC: .*\n$/)
    assert.equal(status, 1)
  })

  it('tells its version', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    assert.equal(print(['--version']), `${version}\n`)
  })

  const broken = write('broken.json', '{ "Version": ')
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['nothing', [], /a command is needed\nTry rds-iam --help\.$/],
    ['an unknown command', ['polices'], /there is no command "polices"\nTry rds-iam --help\.$/],
    ['a command that every object has', ['toString'], /there is no command "toString"/],
    [
      'an unknown option',
      ['policy', '--resource', 'x'],
      /Unknown option '--resource'.*[\s\S]*Try rds-iam policy --help\.$/,
    ],
    ['an option without its value', ['policy', '--user'], /argument missing/],
    ['an option twice', ['check', 'x.json', ...app, '--user', 'b'], /--user is given twice/],
    ['a stray word', ['policy', 'orders'], /Unexpected argument 'orders'/],
    [
      'all of a policy missing',
      ['policy'],
      /4 options are wrong:\n- --region is missing.*\n- --account-id is missing.*\n- --resource-id is missing.*\n- --user is missing/,
    ],
    [
      'the name of an instance',
      ['policy', ...where, '--resource-id', resourceId, '--resource-id', 'orders', '--user', 'a'],
      /- --resource-id is not a resource id .*; got "orders"/,
    ],
    [
      'a partition that is not the Region’s',
      ['policy', ...where, ...app, '--partition', 'aws-cn'],
      /- --partition is not that of eu-west-1, aws; leave it out; got "aws-cn"/,
    ],
    ['no file to check', ['check', ...app], /the file of a policy is needed, or -/],
    ['a file that is not there', ['check', 'gone.json', ...app], /gone\.json: ENOENT/],
    ['a folder for a file', ['check', '.', ...app], /\.: EISDIR/],
    ['a file that is no JSON', ['check', broken, ...app], /broken\.json: .*JSON/],
    [
      'a check for no user',
      ['check', write('right.json', policy), '--resource-id', resourceId],
      /- --user is missing/,
    ],
    [
      'a check for the name of an instance',
      ['check', 'right.json', '--resource-id', 'orders', '--user', 'app'],
      /- --resource-id is not a resource id/,
    ],
    [
      'neither create nor drop',
      ['users', '--engine', 'mysql', '--user', 'a'],
      /users takes create or drop, got nothing/,
    ],
    ['both', ['users', 'create', 'drop'], /users takes create or drop, got create drop/],
    [
      'an unknown engine',
      ['users', 'create', '--engine', 'oracle', '--user', 'a'],
      /- --engine is neither 'postgres' nor 'mysql'/,
    ],
    [
      'the master user',
      ['users', 'create', '--engine', 'mysql', '--user', 'admin', '--master-user', 'admin'],
      /- --user is the master user/,
    ],
    [
      'an option of create for drop',
      ['users', 'drop', '--engine', 'mysql', '--user', 'a', '--if-not-exists'],
      /--if-not-exists goes with create/,
    ],
    ['all of a token missing', ['token'], /- --host is missing\n- --port is missing\n- --user is missing/],
    [
      'a port that is none',
      ['token', '--host', 'a.b.eu-west-1.rds.amazonaws.com', '--port', 'x', '--user', 'a'],
      /- --port is not a port/,
    ],
    [
      'an IP address',
      ['token', '--host', '10.0.0.1', '--port', '5432', '--user', 'a'],
      /- --host is an IP address/,
    ],
    ['no Region', ['token', '--host', 'localhost', '--port', '5432', '--user', 'a'], /- --region is missing/],
    ['an unknown format', ['token', '--format', 'json'], /--format is neither raw, url nor env; got "json"/],
    [
      'what a bare token has no use for',
      ['token', '--database', 'orders'],
      /--database goes with --format url or env/,
    ],
    [
      'an unknown engine of a URL',
      ['token', '--format', 'url', '--engine', 'oracle'],
      /--engine is neither postgres nor mysql/,
    ],
    [
      'a file of authorities that is not there',
      ['token', '--format', 'env', '--ca-file', 'gone.pem'],
      /--ca-file gone\.pem: ENOENT/,
    ],
    [
      'variables with which nothing is verified',
      ['token', '--format', 'env', '--engine', 'mysql'],
      /no variable has the clients of MySQL verify a server: run them by rds-iam exec/,
    ],
    [
      'a file without a certificate',
      ['token', '--format', 'env', '--ca-file', 'broken.json'],
      /--ca-file broken\.json holds no certificate in PEM/,
    ],
    [
      'authorities of no file',
      ['token', '--format', 'url', '--ca-file', '-'],
      /--ca-file names a file that is read later; it cannot be -/,
    ],
    ['no Region of authorities', ['ca'], /--region is needed, or AWS_REGION/],
    [
      'authorities of no Region',
      ['ca', '--region', 'Ireland'],
      /--region is neither the name of a Region, such as eu-west-1, nor all; got "Ireland"/,
    ],
    [
      'a Region whose authorities are not carried',
      ['ca', '--region', 'xx-future-1'],
      /--region is none whose authorities are carried here \(AWS gives them: .*\); got "xx-future-1"/,
    ],
    ['a Region without its flag', ['ca', 'eu-west-1'], /Unexpected argument 'eu-west-1'/],
  ]
  for (const [what, args, message] of cases) {
    it(`ends with 2, and prints nothing, for ${what}`, () => {
      const { status, stdout, stderr } = run(args)
      assert.match(stderr.trimEnd(), message)
      assert.match(stderr, /^error: /)
      assert.deepEqual([status, stdout], [2, ''])
    })
  }
})

describe('rds-iam policy', () => {
  it('prints what connectPolicy makes', () => {
    assert.deepEqual(JSON.parse(print(['policy', ...where, ...app])), policy)
    const several = ['--resource-id', resourceId, '--resource-id', 'prx-0a1b', '--user', 'app', '--user', '*']
    assert.deepEqual(
      JSON.parse(print(['policy', ...several, '--account-id', '123456789012'], { AWS_REGION: 'cn-north-1' })),
      connectPolicy({
        region: 'cn-north-1',
        accountId: '123456789012',
        resourceId: [resourceId, 'prx-0a1b'],
        user: ['app', '*'],
      }),
    )
  })

  it('knows the European Sovereign Cloud', () => {
    const text = print(['policy', ...app, '--region', 'eusc-de-east-1', '--account-id', '123456789012'])
    assert.ok(text.includes(`"arn:aws-eusc:rds-db:eusc-de-east-1:123456789012:dbuser:${resourceId}/app"`))
  })

  it('prints the policy for a Region that it does not know, and says what it takes for granted', () => {
    const future = ['--region', 'xx-future-1', '--account-id', '123456789012']
    const { status, stdout, stderr } = run(['policy', ...app, ...future])
    assert.equal(status, 0)
    assert.ok(stdout.includes('"arn:aws:rds-db:xx-future-1:'))
    assert.equal(
      stderr,
      'warning the Region xx-future-1 is not known here; its partition is taken to be aws: give --partition where it is another\n',
    )
    const told = print(['policy', ...app, ...future, '--partition', 'aws-future'])
    assert.ok(told.includes('"arn:aws-future:rds-db:xx-future-1:'))
    const question = [...app, ...future, '--partition', 'aws-future']
    assert.match(print(['check', '-', ...question], {}, told), /^may connect: /)
  })
})

describe('rds-iam check', () => {
  it('ends with 0 where the user may connect', () => {
    const text = print(['check', write('right.json', policy), ...app, ...where])
    assert.match(text, /^may connect: statement 1 of the policy allows rds-db:connect on arn:\S+\/app\n$/)
  })

  it('checks what the policy command printed, from the standard input', () => {
    assert.match(
      print(['check', '-', ...app], {}, print(['policy', ...where, ...app])),
      /^note -: .*\nmay connect: /,
    )
  })

  it('takes policies as the AWS CLI prints them', () => {
    const inline = write('inline.json', { RoleName: 'r', PolicyName: 'p', PolicyDocument: policy })
    const managed = write('managed.json', { PolicyVersion: { Document: policy, VersionId: 'v1' } })
    for (const file of [inline, managed]) print(['check', file, ...app])
  })

  it('ends with 1 where something is wrong, and says what and where', () => {
    const wrong = write('wrong.json', {
      Version: '2019-05-20',
      Statement: [
        { Effect: 'Allow', Action: 'rds:*', Resource: 'arn:aws:rds-DB:eu-west-1:123456789012:dbuser:orders' },
      ],
    })
    const { status, stdout, stderr } = run(['check', 'right.json', wrong, ...app])
    assert.deepEqual([status, stderr], [1, ''])
    const lines = stdout.trimEnd().split('\n')
    assert.match(lines[0] ?? '', /^problem wrong\.json \.Version: must be "2012-10-17"/)
    assert.ok(lines.some(line => /^problem wrong\.json \.Statement\[0\]\.Action: "rds:\*"/.test(line)))
    assert.ok(
      lines.some(line =>
        /^problem wrong\.json \.Statement\[0\]\.Resource: the service must be "rds-db"/.test(line),
      ),
    )
    assert.ok(lines.some(line => /\.Resource: "orders" is not a resource id/.test(line)))
    assert.ok(lines.some(line => /\.Resource: names no user/.test(line)))
    assert.equal(lines.at(-1), 'may not connect: IAM does not take a malformed policy')
  })

  it('prints JSON where told so', () => {
    const deny = { Version: '2012-10-17', Statement: { Effect: 'Deny', Action: '*', Resource: '*' } }
    const files = ['right.json', write('deny.json', deny)]
    const { status, stdout } = run(['check', ...files, ...app, ...where, '--json'])
    const expected = checkPolicy([policy, deny], {
      resourceId,
      user: 'app',
      region: 'eu-west-1',
      accountId: '123456789012',
    })
    assert.equal(status, 1)
    assert.deepEqual(JSON.parse(stdout), {
      allowed: false,
      detail: expected.detail,
      dependsOn: [],
      problems: expected.problems.map(({ at, message }) => ({ file: 'deny.json', at, message })),
      notes: [],
    })
    assert.equal(JSON.parse(print(['check', 'right.json', ...app, ...where, '--json'])).allowed, true)
  })

  it('ends with 1 for JSON that is no policy', () => {
    for (const content of ['null', '[]', '"x"', '{}']) {
      const { status, stdout, stderr } = run(['check', write('none.json', content), ...app])
      assert.deepEqual([status, stderr], [1, ''], content)
      assert.match(stdout, /^problem none\.json/)
    }
  })
})

describe('rds-iam users', () => {
  const name = `o'neil "x"`

  it('prints the SQL of createUserSql', () => {
    for (const engine of ['postgres', 'mysql'] as const) {
      const args = ['users', 'create', '--engine', engine, '--user', name, '--master-user', 'admin']
      const sql = createUserSql({ engine, user: name })
      assert.equal(print(args), `${sql.join('\n')}\n`)
      const again = createUserSql({ engine, user: name, ifNotExists: true })
      assert.equal(print([...args, '--if-not-exists']), `${again.join('\n')}\n`)
      assert.deepEqual(JSON.parse(print([...args, '--json'])), sql)
    }
  })

  it('prints the SQL of dropUserSql, in its two steps where there are two', () => {
    const mysql = ['users', 'drop', '--engine', 'mysql', '--user', name]
    assert.equal(print(mysql), `${dropUserSql({ engine: 'mysql', user: name }).once.join('\n')}\n`)
    const postgres = [
      'users',
      'drop',
      '--engine',
      'postgres',
      '--user',
      name,
      '--reassign-to',
      'owner',
      '--if-exists',
    ]
    const sql = dropUserSql({ engine: 'postgres', user: name, reassignTo: 'owner', ifExists: true })
    assert.deepEqual(print(postgres).split('\n'), [
      '-- First, in every database where the user owns or may do anything:',
      ...sql.inEveryDatabase.join('\n').split('\n'),
      '-- Then, once:',
      ...sql.once,
      '',
    ])
    assert.deepEqual(JSON.parse(print([...postgres, '--json'])), sql)
  })
})

describe('rds-iam ca', () => {
  const read = (pem: string) =>
    pem
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .map(one => (one === '' ? '' : /CN=(.+)/.exec(new X509Certificate(one).subject)?.[1]))

  it('prints what a database in the Region is verified against', async () => {
    const { ca } = await trustedTls({ host: 'a.b.eu-west-1.rds.amazonaws.com' })
    const pem = print(['ca', '--region', 'eu-west-1'])
    assert.deepEqual(
      read(pem),
      ca.map(one => read(one)[0]),
    )
    assert.equal(print(['ca'], { AWS_REGION: 'eu-west-1' }), pem)
    assert.ok(read(pem).includes('Amazon RDS eu-west-1 Root CA RSA2048 G1'))
    assert.ok(read(pem).includes('Amazon Root CA 1'))
  })

  it('prints those of all Regions', () => {
    const names = read(print(['ca', '--region', 'all']))
    for (const region of ['eu-west-1', 'us-east-1', 'sa-east-1'])
      assert.ok(names.includes(`Amazon RDS ${region} Root CA RSA2048 G1`))
    assert.equal(new Set(names).size, names.length)
  })
})

describe('rds-iam token', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'ASIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'very/secret+key' }
  const session = { ...keys, AWS_SESSION_TOKEN: 'IQoJb3JpZ2luX2VjE/+==' }
  const host = 'orders.c1x2.eu-west-1.rds.amazonaws.com'
  const profile = join(folder, 'credentials')
  writeFileSync(
    profile,
    `[orders]\naws_access_key_id = ${keys.AWS_ACCESS_KEY_ID}\naws_secret_access_key = ${keys.AWS_SECRET_ACCESS_KEY}\n`,
  )
  const ofProfile = {
    AWS_PROFILE: 'orders',
    AWS_SHARED_CREDENTIALS_FILE: profile,
    AWS_CONFIG_FILE: '/nonexistent',
  }

  for (const [what, args, env, username, region] of [
    ['with keys', ['--host', host, '--user', 'app'], keys, 'app', 'eu-west-1'],
    ['with a session', ['--host', host, '--user', 'app'], session, 'app', 'eu-west-1'],
    ['with a profile', ['--host', host, '--user', 'app'], ofProfile, 'app', 'eu-west-1'],
    [
      'spelled as for the AWS CLI',
      ['--hostname', host, '--username', 'a b+é', '--region', 'eu-west-1'],
      keys,
      'a b+é',
      'eu-west-1',
    ],
    [
      "for a name in capitals, of the environment's Region",
      ['--host', 'DB.Example', '--user', 'App'],
      { ...keys, AWS_REGION: 'us-east-1' },
      'App',
      'us-east-1',
    ],
  ] as const) {
    it(`prints what the SDK's signer signs in the same second, and nothing else, ${what}`, async t => {
      const token = print(['token', '--port', '5432', ...args], env).replace(/\n$/, '')
      const [address = '', query = ''] = token.split('?')
      const [, year, month, day, hour, minute, second] =
        /X-Amz-Date=(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(query)?.map(Number) ?? []
      const now = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second)
      t.mock.timers.enable({ apis: ['Date'], now })
      const sessionToken = 'AWS_SESSION_TOKEN' in env ? { sessionToken: env.AWS_SESSION_TOKEN } : {}
      const expected = await new Signer({
        hostname: args[1].toLowerCase(),
        port: 5432,
        username,
        region,
        credentials: {
          accessKeyId: keys.AWS_ACCESS_KEY_ID,
          secretAccessKey: keys.AWS_SECRET_ACCESS_KEY,
          ...sessionToken,
        },
      }).getAuthToken()
      const [expectedAddress, expectedQuery = ''] = expected.split('?')
      assert.equal(address, expectedAddress)
      assert.deepEqual(query.split('&').sort(), expectedQuery.split('&').sort())
    })
  }

  describe('with a format', () => {
    const address = ['--host', host, '--port', '5433', '--user', "o'neil"]
    const pem = print(['ca', '--region', 'eu-west-1'])
    const file = write('rds.pem', pem)
    const token = /^orders\.c1x2\.eu-west-1\.rds\.amazonaws\.com:5433\/\?Action=connect&DBUser=o%27neil&/

    it('prints a URL of PostgreSQL', () => {
      const line = print(['token', ...address, '--format', 'url', '--ca-file', file], keys)
      const url = new URL(line.trimEnd())
      assert.match(line, /^postgresql:\S+\n$/)
      assert.match(decodeURIComponent(url.password), token)
      assert.deepEqual(
        [url.host, url.username, url.pathname, ...url.searchParams],
        [
          `${host}:5433`,
          "o'neil",
          "/o'neil",
          ['sslmode', 'verify-full'],
          ['sslrootcert', join(realpathSync(folder), file)],
        ],
      )
    })

    it('prints a URL of MySQL, with the authorities in it', () => {
      const args = ['--engine', 'mysql', '--database', 'a/b', '--ca-file', file, '--format', 'url']
      const url = new URL(print(['token', ...address, ...args], keys))
      assert.equal(url.pathname, '/a%2Fb')
      assert.match(decodeURIComponent(url.password), token)
      const ssl = { ca: pem, rejectUnauthorized: true, verifyIdentity: true }
      assert.deepEqual(JSON.parse(url.searchParams.get('ssl') ?? ''), ssl)
    })

    it('verifies without authorities, too', () => {
      const { searchParams } = new URL(print(['token', ...address, '--format', 'url'], keys))
      assert.deepEqual([...searchParams], [['sslmode', 'verify-full']])
      const mysql = print(['token', ...address, '--format', 'url', '--engine', 'mysql'], keys)
      const ssl = JSON.parse(new URL(mysql).searchParams.get('ssl') ?? '')
      assert.deepEqual(ssl, { rejectUnauthorized: true, verifyIdentity: true })
    })

    it('prints commands for a shell', () => {
      const commands = print(['token', ...address, '--format', 'env', '--ca-file', file], keys)
      const names = ['PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE', 'PGSSLMODE', 'PGSSLROOTCERT', 'PGSERVICE']
      const ask = `${commands}for name in ${names.join(' ')} PGPASSWORD; do printenv $name || echo unset; done`
      const env = { ...environment, PGSERVICE: 'elsewhere' }
      const { stdout } = spawnSync('/bin/sh', ['-c', ask], { env, encoding: 'utf8' })
      const [password, ...others] = stdout.trimEnd().split('\n').reverse()
      assert.match(password ?? '', token)
      assert.deepEqual(others.reverse(), [
        ...[host, '5433', "o'neil", "o'neil", 'verify-full'],
        ...[join(realpathSync(folder), file), 'unset'],
      ])
    })
  })

  it('takes one spelling of an option, not both', () => {
    for (const [name, other] of [
      ['host', 'hostname'],
      ['user', 'username'],
    ]) {
      const args = ['--host', host, '--port', '5432', '--user', 'app', `--${other}`, 'other']
      const { status, stdout, stderr } = run(['token', ...args], keys)
      assert.deepEqual([status, stdout], [2, ''])
      assert.match(stderr, new RegExp(`^error: --${name} and --${other} are the same; give one of them\n`))
    }
  })

  it('ends with 1 without credentials, and prints nothing', () => {
    const missing = { AWS_SHARED_CREDENTIALS_FILE: '/nonexistent', AWS_CONFIG_FILE: '/nonexistent' }
    const { status, stdout, stderr } = run(
      ['token', '--host', host, '--port', '5432', '--user', 'app'],
      missing,
    )
    assert.deepEqual([status, stdout], [1, ''])
    assert.match(
      stderr,
      /^error: Could not sign an authentication token for app@orders\S+:5432 in eu-west-1: /,
    )
  })

  it('ends with 1 with credentials that have expired, and says nothing of them', () => {
    const expired = { ...session, AWS_CREDENTIAL_EXPIRATION: '2026-01-01T00:00:00Z' }
    const { status, stdout, stderr } = run(
      ['token', '--host', host, '--port', '5432', '--user', 'app'],
      expired,
    )
    assert.deepEqual([status, stdout], [1, ''])
    assert.match(stderr, /^error: The AWS credentials expired at 2026-01-01/)
    for (const secret of [keys.AWS_SECRET_ACCESS_KEY, session.AWS_SESSION_TOKEN])
      assert.ok(!stderr.includes(secret))
  })
})

describe('colours', () => {
  // util-linux's, which runs a command at a terminal of its own.
  const { stdout: version } = spawnSync('script', ['--version'], { encoding: 'utf8' })
  const skip = version?.includes('util-linux')
    ? false
    : 'there is no script of util-linux, which makes a terminal'
  const atTerminal = (env: Readonly<Record<string, string>>) => {
    const command = `'${process.execPath}' ${nodeFlags.join(' ')} '${cli}' check none.json ${app.join(' ')}`
    write('none.json', '{}')
    return spawnSync('script', ['-qec', command, '/dev/null'], {
      env: { ...environment, TERM: 'xterm-256color', ...env },
      cwd: folder,
      encoding: 'utf8',
    }).stdout
  }

  it('are there at a terminal', { skip }, () => {
    const text = atTerminal({})
    assert.ok(text.includes('\u001b[31mproblem\u001b[39m none.json'), JSON.stringify(text))
  })

  it('are not there with NO_COLOR, nor where the terminal has none', { skip }, () => {
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }] as Readonly<Record<string, string>>[]) {
      const text = atTerminal(env)
      assert.match(text, /problem none\.json/)
      assert.ok(!text.includes('\u001b['), JSON.stringify(text))
    }
  })

  it('are not there in a pipe', () => {
    const { stdout } = run(['check', write('none.json', '{}'), ...app], { TERM: 'xterm-256color' })
    assert.match(stdout, /problem none\.json/)
    assert.ok(!stdout.includes('\u001b['))
  })
})
