// What every command says of a command line that is wrong, in a process of its own.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { usePostgres } from '../../../test/support/database.ts'
import { nodeFlags } from '../../../test/support/node-process.ts'

const cli = fileURLToPath(new URL('../../src/cli/rds-iam.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-bad-input-'))
/** All that the commands leave behind. A server that runs as another user has to get there. */
const temporary = join(folder, 'tmp')
mkdirSync(temporary)
for (const path of [folder, temporary]) chmodSync(path, 0o755)

const { postgres } = await usePostgres()
const taken = createServer().listen(0, '127.0.0.1')
await once(taken, 'listening')
const { port: takenPort } = taken.address() as { port: number }
after(() => {
  taken.close()
  rmSync(folder, { recursive: true })
})

const write = (name: string, content: string | Buffer) => writeFileSync(join(folder, name), content)
write('binary', Buffer.from([0x1b, 0x5b, 0x33, 0x31, 0x6d, 0xff, 0xfe, 0, 0x9b, 0x07]))
write('empty', '')
write('array.json', '[1, 2]')
write('words.txt', 'SELECT 1;')
mkdirSync(join(folder, 'directory'))
const statement = { Effect: 'Allow', Action: 'rds-db:connect', Resource: '*' }
write('bad.sql', 'CREATE TABLE one (id integer);\nCREATE TABEL two (id integer);\n')
write('typo.sql', 'CREATE TABLE one (id integer);\n\nINSERT INTO one (it) VALUES (1);\n')
write('twice.sql', 'CREATE TABLE one (id integer PRIMARY KEY);\nINSERT INTO one VALUES (1), (1);\n')
write('escape.sql', 'SELECT 1 \x1b[31m;\n')
write('plain-user.sql', 'CREATE USER app;\n')
write('template.yaml', 'Resources:\n  Table:\n    Type: AWS::DynamoDB::Table\n')
write('policy.json', JSON.stringify({ Version: '2012-10-17', Statement: [statement] }))

const env = {
  PATH: process.env.PATH ?? '',
  HOME: folder,
  TMPDIR: temporary,
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_ACCESS_KEY_ID: 'AKIABADINPUT',
  AWS_SECRET_ACCESS_KEY: 'a-secret-that-nobody-sees',
}

/** Processes that have something to do with the temporary folder, where the system tells. */
function findProcesses(): string[] {
  if (!existsSync('/proc/self/cmdline')) return []
  return readdirSync('/proc').flatMap(pid => {
    try {
      const command = readFileSync(join('/proc', pid, 'cmdline'), 'utf8')
      return command.includes(temporary) ? [command] : []
    } catch {
      // No process, or one that has ended since.
      return []
    }
  })
}

const resource = ['--resource-id', 'db-ABCDEFGHIJKL01234']
const where = ['--region', 'eu-west-1']
const host = ['--host', 'database.invalid']
/** A command line that is right, for each command; what has no default alone. */
const right = {
  policy: [...resource, '--user', 'app', ...where, '--account-id', '123456789012'],
  check: ['policy.json', ...resource, '--user', 'app'],
  users: ['create', '--engine', 'postgres', '--user', 'app'],
  token: [...host, '--port', '5432', '--user', 'app', ...where],
  ca: where,
  exec: [...host, '--user', 'app', ...where],
  diagnose: [...host, '--user', 'app', ...where],
  proxy: [...host, '--user', 'app', ...where],
  dev: ['--user', 'app', '--port', '0'],
  gateway: ['--upstream', `127.0.0.1:${postgres.port}`, ...where],
}

/** What is added to a command line that is right, and what is said of it. */
type Case = readonly [command: keyof typeof right, added: readonly string[], said: RegExp]
const commands = Object.keys(right) as (keyof typeof right)[]
/** An option that is given above, and may be given once. */
const single = {
  policy: '--region',
  check: '--user',
  users: '--user',
  token: '--host',
  ca: '--region',
  exec: '--user',
  diagnose: '--host',
  proxy: '--user',
  dev: '--port',
  gateway: '--region',
} as const
const servers = ['dev', 'gateway'] as const
/** What a command line ends with. */
const tails: Partial<Record<keyof typeof right, readonly string[]>> = { exec: ['--', 'echo', 'started'] }

const cases: readonly Case[] = [
  ...commands.flatMap((command): Case[] => {
    const option = single[command]
    return [
      [command, ['--frobnicate'], /^Unknown option '--frobnicate'$/],
      [command, [option], new RegExp(`^Option '${option} <value>' argument missing$`)],
      [
        command,
        [option, '--json'],
        new RegExp(`^Option '${option}' argument is ambiguous\\.\nDid you forget to specify`),
      ],
      [command, [option, 'a', option, 'a'], new RegExp(`^${option} is given twice$`)],
      [command, [`${option}=`], new RegExp(`^${option} is empty; give it a value, or leave it out$`)],
    ]
  }),
  ['token', ['--format'], /^Option '--format <value>' argument missing$/],
  ['token', ['--format', 'url', '--format', 'env'], /^--format is given twice$/],
  ['token', ['--format='], /^--format is empty; give it a value, or leave it out$/],
  ['token', ['--format', 'url', '--database='], /^--database is empty; give it a value, or leave it out$/],
  ['proxy', ['--listen='], /^--listen is empty; give it a value, or leave it out$/],
  ['policy', ['stray'], /^Unexpected argument 'stray'/],
  ['users', ['stray'], /^users takes create or drop, got create stray$/m],

  // Numbers.
  [
    'token',
    ['--port', '70000'],
    /^- --port is not a port, a whole number from 1 to 65535; got "70000" \(string\)$/m,
  ],
  ...(['diagnose', ...servers] as const).flatMap((command): Case[] => [
    [command, ['--port', '70000'], /^- --port is not .* (from|to) .*65535; got 70000 \(number\)$/m],
    [command, ['--port', '1.5'], /^--port is not a whole number; got "1\.5"$/m],
  ]),
  [
    'diagnose',
    ['--port', '0'],
    /^- --port is not a port, a whole number from 1 to 65535; got 0 \(number\)$/m,
  ],
  [
    'diagnose',
    ['--connect-timeout-ms', '0'],
    /^- --connect-timeout-ms is not a whole number from 1 to 900000; got 0/m,
  ],
  ['diagnose', ['--endpoint', 'orders:99999'], /^- --endpoint \.port is not a port.* got 99999/m],
  ['gateway', ['--limit', '0'], /^- --limit is not a whole number of at least 1; got 0/m],

  // Addresses.
  ...servers.flatMap((command): Case[] => [
    [
      command,
      ['--port', String(takenPort)],
      new RegExp(
        `^The gateway cannot listen on 127\\.0\\.0\\.1:${takenPort}: the port is in use; give another one, or 0 for any`,
      ),
    ],
  ]),
  // https://www.rfc-editor.org/rfc/rfc5737: an address of documentation, which no machine has.
  [
    'gateway',
    ['--host', '203.0.113.7'],
    /^The gateway cannot listen on 203\.0\.113\.7:0: this machine does not have that address \(EADDRNOTAVAIL\)$/,
  ],
  [
    'gateway',
    ['--host', 'nowhere.invalid'],
    /^The gateway cannot listen on nowhere\.invalid:0: (there is no such name \(ENOTFOUND\)|the name cannot be looked up now \(EAI_AGAIN\))$/,
  ],
  ...['0.0.0.0', '203.0.113.7', 'nowhere.invalid'].map(
    (address): Case => [
      'dev',
      ['--host', address],
      new RegExp(
        '^- --host is reached from other machines, where everybody knows the key pair defaultkey: ' +
          `give --policy or --template; got "${address}" \\(string\\)$`,
        'm',
      ),
    ],
  ),
  ['gateway', ['--endpoint', 'orders'], /^--endpoint is not host:port; got "orders"$/m],
  [
    'gateway',
    ['--endpoint', '127.0.0.1:5432'],
    /^- --endpoint \.host is an IP address, which no token is signed for; give the name/m,
  ],
  ['diagnose', ['--endpoint', 'a b'], /^- --endpoint \.host is not a host name; got "a b"/m],

  // Files.
  ...(['check', ...servers] as const).flatMap((command): Case[] => {
    const policy = (file: string) => (command === 'check' ? [file] : ['--policy', file, ...resource])
    const name = (file: string) => (command === 'check' ? file : `--policy ${file}`)
    return [
      [command, policy('binary'), new RegExp(`^${name('binary')}: is neither UTF-8 nor UTF-16$`)],
      [command, policy('directory'), new RegExp(`^${name('directory')}: EISDIR: .*directory`)],
      [command, policy('empty'), new RegExp(`^${name('empty')}: Unexpected end of JSON input$`)],
      [command, policy('missing.json'), new RegExp(`^${name('missing\\.json')}: ENOENT: no such file`)],
      [
        command,
        policy('template.yaml'),
        new RegExp(`^${name('template\\.yaml')}: is a template of CloudFormation: give it with --template$`),
      ],
      [command, policy('words.txt'), new RegExp(`^${name('words\\.txt')}: .*"SELECT 1;" is not valid JSON$`)],
    ]
  }),
  ...servers.flatMap((command): Case[] => [
    [command, ['--template', 'binary', ...resource], /^--template binary: is neither UTF-8 nor UTF-16$/],
    [command, ['--template', 'directory', ...resource], /^--template directory: EISDIR/],
    [
      command,
      ['--template', 'empty', ...resource],
      /^--template empty: has no Resources, and so is no template of CloudFormation$/,
    ],
    [command, ['--template', 'missing.yaml', ...resource], /^--template missing\.yaml: ENOENT/],
    [
      command,
      ['--template', 'array.json', ...resource],
      /^--template array\.json: has no Resources, and so is no template of CloudFormation$/,
    ],
    [
      command,
      ['--template', 'policy.json', ...resource],
      /^--template policy\.json: is an IAM policy and no template: give it as a policy, without --template$/,
    ],
    [
      command,
      ['--policy', 'array.json', ...resource],
      /^- --policy must be an object with Version and Statement, got \[1,2\]$/m,
    ],
    [
      command,
      ['--policy', 'policy.json', '--template', 'policy.json'],
      /^--policy and --template exclude each other$/m,
    ],
    [command, ['--policy', 'policy.json'], /^--policy needs --resource-id$/m],
  ]),
  ['gateway', ['--ca-file', 'no/such/folder/ca.pem'], /^--ca-file: ENOENT: .*no\/such\/folder\/ca\.pem/],
  ['dev', ['--setup', 'directory'], /^--setup: EISDIR/],
  [
    'dev',
    ['--setup', 'bad.sql'],
    /^- --setup bad\.sql fails at line 2: syntax error at or near "TABEL" \(42601\)$/m,
  ],
  [
    'dev',
    ['--setup', 'typo.sql'],
    /^- --setup typo\.sql fails at line 3: column "it" of relation "one" does not exist \(42703\)$/m,
  ],
  [
    'dev',
    ['--setup', 'twice.sql'],
    /^- --setup twice\.sql fails: duplicate key value violates unique constraint "one_pkey" \(23505\)$/m,
  ],
  [
    'dev',
    ['--setup', 'escape.sql'],
    /^- --setup escape\.sql fails at line 1: syntax error at or near "\ufffd" \(42601\)$/m,
  ],
  [
    'dev',
    ['--setup', 'plain-user.sql'],
    /^- --setup plain-user\.sql creates "app" without rds_iam, and so RDS would not ask IAM: GRANT rds_iam TO it$/m,
  ],
  ['dev', ['--setup', 'missing.sql'], /^--setup: ENOENT: .*missing\.sql/],
  ['diagnose', ['--ca-file', 'words.txt'], /^- --ca-file holds no certificate; got a text of 9 characters$/m],
  ['diagnose', ['--ca-file', 'directory'], /^--ca-file directory: EISDIR/],

  // The standard input, which is there once.
  ['check', ['-', '-'], /^-: the standard input can be read once, and - has read it$/m],
  [
    'dev',
    ['--setup', '-', '--policy', '-', ...resource],
    /^--policy -: the standard input can be read once, and --setup has read it$/m,
  ],
]

for (const [command, added, said] of cases) {
  test(`says what is wrong with: rds-iam ${command} … ${added.join(' ')}`, () => {
    // The option in question is given in place of the one that is right.
    const words = right[command].filter(
      (_, index, all) => !isOf(added, all[index]) && !isOf(added, all[index - 1]),
    )
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [...nodeFlags, cli, command, ...words, ...added, ...(tails[command] ?? [])],
      {
        env,
        cwd: folder,
        input: JSON.stringify({ Version: '2012-10-17', Statement: [statement] }),
        encoding: 'utf8',
      },
    )
    const [, message = '', hint] = /^error: ([\s\S]*)\nTry (.*)\.\n$/.exec(stderr) ?? []
    assert.match(message, said, stderr)
    assert.equal(hint, `rds-iam ${command} --help`)
    assert.deepEqual([status, stdout], [2, ''])
    assert.doesNotMatch(
      stderr,
      /^ {4}at |[^\P{Cc}\n]|a-secret-that/mu,
      'no stack, nothing for a terminal, no secret',
    )
    assert.deepEqual([readdirSync(temporary), findProcesses()], [[], []], 'nothing is left')
  })
}

/** Whether the added words give this option anew. */
function isOf(added: readonly string[], word: string | undefined): boolean {
  return word?.startsWith('--') === true && added.some(other => other.split('=')[0] === word)
}
