import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findMysqlKinds, type Gated, useMysql, usePostgres } from '../../../test/support/database.ts'
import { assertNoSecret, stepNames } from '../../../test/support/diagnosis.ts'
import { nodeFlags } from '../../../test/support/node-process.ts'

const root = new URL('../../..', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-diagnose-'))
after(() => rmSync(folder, { recursive: true }))

const secret = {
  accessKeyId: 'ASIADIAGNOSISEXAMPLE',
  secretAccessKey: `key/${randomBytes(20).toString('base64')}`,
  sessionToken: `session/${randomBytes(60).toString('base64')}`,
}
/** Nothing of this machine's own. */
const bare = { PATH: process.env.PATH ?? '', HOME: folder, AWS_EC2_METADATA_DISABLED: 'true' }
const signedIn = {
  ...bare,
  AWS_ACCESS_KEY_ID: secret.accessKeyId,
  AWS_SECRET_ACCESS_KEY: secret.secretAccessKey,
  AWS_SESSION_TOKEN: secret.sessionToken,
}

const { gate } = await usePostgres()
const { kinds, missing } = findMysqlKinds()
const mysql = kinds[0] === undefined ? undefined : await useMysql(kinds[0])
test('has a server for MySQL', { skip: mysql === undefined && missing }, () => {})

/** Runs the command, and looks at all that it prints. */
async function run(
  args: readonly string[],
  env: NodeJS.ProcessEnv = signedIn,
  cli = join(root, 'kit', 'src', 'cli', 'rds-iam.ts'),
) {
  const result = await new Promise<{ status: number; stdout: string; stderr: string }>(resolve =>
    execFile(
      process.execPath,
      [...nodeFlags, cli, 'diagnose', ...args],
      { env, cwd: folder },
      (error, stdout, stderr) => resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
    ),
  )
  assertNoSecret(result.stdout + result.stderr, [secret.secretAccessKey, secret.sessionToken])
  assert.doesNotMatch(result.stderr, /^ {4}at /m, 'no stack')
  return result
}

function flagsOf({ options }: Gated): string[] {
  const { host, port, user, database, region, tls } = options
  const caFile = join(folder, `${port}.pem`)
  writeFileSync(caFile, tls.ca)
  const flags = ['--host', host, '--port', String(port), '--user', user, '--database', database]
  return [...flags, '--region', region, '--ca-file', caFile]
}

test('prints a line for each step, and ends with 0 where the database is reached', async () => {
  const { status, stdout, stderr } = await run(flagsOf(await gate({ credentials: [secret] })))
  assert.deepEqual([status, stderr], [0, ''])
  const lines = stdout.trimEnd().split('\n')
  assert.match(lines[0] ?? '', /^postgres: notes_app@localhost:\d+\/notes in eu-west-1$/)
  assert.match(lines.at(-1) ?? '', /^ok, after \d+ ms$/)
  for (const [index, name] of stepNames.entries())
    assert.match(lines[index + 1] ?? '', new RegExp(`^[✓?] ${name} +\\d+\\.\\d ms  \\S`))
  assert.match(stdout, /the environment: access key ASIADIAGNOSISEXAMPLE, with a session token/)
})

test('prints the remedy below the step that broke, and ends with 1', async () => {
  const { status, stdout } = await run(
    flagsOf(await gate({ users: ['somebody_else'], credentials: [secret] })),
  )
  assert.equal(status, 1)
  assert.match(
    stdout,
    /^✗ authentication .*asked for a password by SCRAM.*\n {4}→ .*CREATE USER "notes_app"/m,
  )
  assert.match(stdout, /^– session +not tried, because authentication failed$/m)
  assert.match(stdout, /^broken at authentication, after \d+ ms$/m)
})

test('prints the same as JSON', async () => {
  const { status, stdout } = await run([...flagsOf(await gate()), '--json'], bare)
  const report = JSON.parse(stdout)
  assert.deepEqual([status, report.ok, report.engine], [1, false, 'postgres'])
  const { status: how, code } = report.steps.find((step: { name: string }) => step.name === 'credentials')
  assert.deepEqual([how, code], ['failed', 'RDS_IAM_CREDENTIALS'])
})

/** A server that takes connections and says nothing. */
async function startSilentServer(t: { after(end: () => void): void }): Promise<number> {
  const sockets: Socket[] = []
  const server = createServer(socket => void sockets.push(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as { port: number }).port
}

const silentFlags = (port: number) =>
  ['--host', 'localhost', '--port', String(port), '--user', 'app', '--region', 'eu-west-1'] as const

test('prints the steps while they happen, and the name of one that goes on', async t => {
  const port = await startSilentServer(t)
  // Long enough for this test to see the step begun, however slow the machine is.
  const args = [...silentFlags(port), '--connect-timeout-ms', '600000']
  const cli = join(root, 'kit', 'src', 'cli', 'rds-iam.ts')
  const child = spawn(process.execPath, [...nodeFlags, cli, 'diagnose', ...args], { env: signedIn })
  t.after(() => child.kill())
  let seen = ''
  for await (const chunk of child.stdout) {
    seen += chunk
    if (seen.includes('… tls, begun\n')) break
  }
  const lines = seen.trimEnd().split('\n')
  assert.equal(lines[0], `postgres: app@localhost:${port}/app in eu-west-1`)
  assert.deepEqual(
    lines.slice(1).map(line => line.slice(0, 10).trimEnd()),
    ['✓ options', '✓ region', '✓ dns', '✓ tcp', '… tls, beg'],
  )
  assert.equal(child.exitCode, null)
})

const noScript = hasScript() ? false : 'there is no `script` of util-linux, which gives a program a terminal'

function hasScript(): boolean {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux')
  } catch {
    return false
  }
}

test('shows a terminal the name of a step until its line takes the place', { skip: noScript }, async t => {
  const port = await startSilentServer(t)
  const args = [...silentFlags(port), '--connect-timeout-ms', '300']
  const command = [process.execPath, ...nodeFlags, join(root, 'kit/src/cli/rds-iam.ts'), 'diagnose', ...args]
  const child = spawn('script', ['-qec', command.join(' '), '/dev/null'], {
    env: { ...signedIn, NO_COLOR: '1', TERM: 'xterm' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let seen = ''
  for await (const chunk of child.stdout) seen += chunk
  // The terminal is told to take the name away.
  const lines = seen.replaceAll('\r\x1b[K', ' <away> ').replaceAll('\r\n', '\n')
  assert.match(lines, /… tls <away> ✗ tls +\d+\.\d ms {2}no answer to the request for TLS within 300 ms$/m)
  assert.match(lines, /… token <away> ✓ token /)
  assert.match(lines, /– authentication +not tried, because tls failed$/m)
  assert.match(lines, /broken at tls, after \d+ ms\n$/)
})

test('keeps JSON one document while a step goes on', async t => {
  const port = await startSilentServer(t)
  const { status, stdout } = await run([...silentFlags(port), '--connect-timeout-ms', '1500', '--json'])
  const { ok, steps } = JSON.parse(stdout)
  assert.deepEqual([status, ok, steps.length], [1, false, stepNames.length])
})

test('reaches a database through a tunnel, with the real endpoint', async () => {
  const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }
  const gated = await gate({ credentials: [secret], endpoints: [endpoint] })
  const through = [...flagsOf(gated), '--endpoint', `${endpoint.host}:${endpoint.port}`]
  assert.equal((await run(through)).status, 0)
})

test('speaks MySQL', { skip: mysql === undefined && missing }, async () => {
  assert.ok(mysql)
  const gated = await mysql.gate({ credentials: [secret] })
  const { status, stdout } = await run(['--engine', 'mysql', ...flagsOf(gated)])
  assert.equal(status, 0)
  assert.match(stdout, /^mysql: notes_app@/)
})

test('reads what is not given from the environment, and says all that is missing', async () => {
  const { options } = await gate({ credentials: [secret] })
  const caFile = join(folder, 'environment.pem')
  writeFileSync(caFile, options.tls.ca)
  const address = {
    PGHOST: options.host,
    PGPORT: String(options.port),
    PGUSER: options.user,
    PGDATABASE: 'notes',
  }
  const env = { ...signedIn, ...address, AWS_REGION: options.region }
  assert.equal((await run(['--ca-file', caFile], env)).status, 0)
  const { status, stdout, stderr } = await run([])
  assert.deepEqual([status, stdout], [2, ''])
  assert.match(
    stderr,
    /^error: the command line is wrong:\n- --host is missing.*PGHOST\n- --user is missing.*PGUSER\n/,
  )
  const asJson = await run(['--json'])
  assert.deepEqual([asJson.status, asJson.stdout, asJson.stderr], [2, '', stderr])
})

test('says which profile the credentials are from', async () => {
  const credentialsFile = join(folder, 'credentials')
  writeFileSync(
    credentialsFile,
    `[dev]\naws_access_key_id = ${secret.accessKeyId}\naws_secret_access_key = ${secret.secretAccessKey}\n` +
      `aws_session_token = ${secret.sessionToken}\n`,
  )
  const env = { ...bare, AWS_PROFILE: 'dev', AWS_SHARED_CREDENTIALS_FILE: credentialsFile }
  const { status, stdout } = await run(flagsOf(await gate({ credentials: [secret] })), env)
  assert.equal(status, 0)
  assert.match(stdout, /the AWS SDK's default chain, the profile dev: access key ASIADIAGNOSISEXAMPLE/)
  const byFlag = await run([...flagsOf(await gate({ credentials: [secret] })), '--profile', 'dev'], {
    ...env,
    AWS_PROFILE: 'another',
  })
  assert.match(byFlag.stdout, /the AWS SDK's default chain, the profile dev: access key ASIADIAGNOSISEXAMPLE/)
})

test('says which profile is missing, and which there are', async () => {
  const credentialsFile = join(folder, 'others')
  writeFileSync(
    credentialsFile,
    '[prod]\naws_access_key_id = AKIAPROD\naws_secret_access_key = not-to-be-seen\n',
  )
  const env = { ...bare, AWS_SHARED_CREDENTIALS_FILE: credentialsFile }
  const flags = ['--host', 'database.invalid', '--user', 'app', '--region', 'eu-west-1', '--profile', 'dev']
  const { status, stdout } = await run(flags, env)
  assert.equal(status, 1)
  const missing = `there is no profile "dev" in ${join(folder, '.aws', 'config')} (not there) or ${credentialsFile}, where there are prod`
  assert.ok(stdout.includes(missing), stdout)
  assert.match(stdout, /→ Correct the name of the profile/)
  assert.doesNotMatch(stdout, /not-to-be-seen/)
})

for (const [title, args, message] of [
  ['an unknown engine', ['--engine', 'oracle'], /--engine is neither postgres nor mysql; got "oracle"/],
  ['an unknown option', ['--password', 'x'], /Unknown option '--password'/],
  ['a port that is no number', ['--port', 'abc'], /--port is not a whole number; got "abc"/],
  ['a time that is no number', ['--connect-timeout-ms', '1s'], /--connect-timeout-ms is not a whole number/],
  ['a file that is not there', ['--ca-file', 'no.pem'], /--ca-file no\.pem: .*ENOENT/],
] as const) {
  test(`ends with 2 for ${title}`, async () => {
    const { status, stdout, stderr } = await run(args)
    assert.deepEqual([status, stdout], [2, ''])
    assert.match(stderr, message)
    assert.match(stderr, /Try rds-iam diagnose --help\.$/m)
  })
}

test('says which driver has to be installed', async () => {
  // Where no package is found.
  const alone = join(folder, 'alone')
  const packages = [
    [root, alone],
    [join(root, 'kit'), join(alone, 'kit')],
  ] as const
  for (const [from, to] of packages)
    for (const part of ['src', 'package.json']) cpSync(join(from, part), join(to, part), { recursive: true })
  mkdirSync(join(alone, 'node_modules'))
  symlinkSync('..', join(alone, 'node_modules', 'middy-rds-iam'))
  for (const [engine, driver] of [
    ['postgres', 'pg'],
    ['mysql', 'mysql2'],
  ] as const) {
    const { status, stderr } = await run(
      ['--engine', engine],
      bare,
      join(alone, 'kit', 'src', 'cli', 'rds-iam.ts'),
    )
    assert.equal(status, 2)
    assert.match(stderr, new RegExp(`the driver is not installed: npm install ${driver}$`, 'm'))
  }
  // The driver of the other engine is not needed, and neither is a database to see that.
  symlinkSync(join(root, 'node_modules', 'mysql2'), join(alone, 'node_modules', 'mysql2'))
  const mysqlAlone = ['--engine', 'mysql', '--host', 'database.invalid', '--user', 'app']
  const cli = join(alone, 'kit', 'src', 'cli', 'rds-iam.ts')
  const { status, stdout, stderr } = await run([...mysqlAlone, '--region', 'eu-west-1'], signedIn, cli)
  assert.deepEqual([status, stderr], [1, ''])
  assert.match(stdout, /^broken at dns, after \d+ ms$/m)
})
