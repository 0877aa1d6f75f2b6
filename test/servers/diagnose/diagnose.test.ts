// The whole way on every server, all well, and broken at each step in turn.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import type { GatewayOptions } from '../../../kit/src/index.ts'
import { makeAuthority } from '../../../kit/src/index.ts'
import type { RdsIamErrorCode, RdsIamOptions } from '../../../src/pg.ts'
import type { Gated } from '../../support/database.ts'
import {
  type DiagnosisKind,
  type StepName,
  stepNames,
  stepOf,
  stepsThat,
  useDiagnosisKinds,
} from '../../support/diagnosis.ts'
import { setEnvironment, withoutCredentials } from '../../support/environment.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { startRecordingMysqlServer } from '../../support/recording-mysql-server.ts'
import { startRecordingServer } from '../../support/recording-server.ts'
import { startRelay } from '../../support/relay.ts'

const authority = await makeAuthority('trusted')
const { kinds, missing } = await useDiagnosisKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }

/** Long enough to be found wherever they might be. */
const secret = {
  accessKeyId: 'ASIADIAGNOSISEXAMPLE',
  secretAccessKey: `key/${randomBytes(20).toString('base64')}+/=`,
  sessionToken: `session/${randomBytes(60).toString('base64')}+/=`,
}

/** A port that nothing listens on. */
async function findClosedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** A server with this certificate, which keeps whatever it is given. */
function startRecording(
  { engine }: DiagnosisKind,
  certificate: { readonly cert: string; readonly key: string },
) {
  return engine === 'mysql' ? startRecordingMysqlServer({ certificate }) : startRecordingServer(certificate)
}

/** Something that is broken, and what the report has to say of it. */
interface Breakage {
  readonly gate?: Partial<GatewayOptions>
  readonly options?: (
    gated: Gated,
    kind: DiagnosisKind,
  ) => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>
  /** The step that breaks. */
  readonly at: StepName
  readonly code: RdsIamErrorCode | Readonly<Record<DiagnosisKind['engine'], RdsIamErrorCode>>
  readonly finding: RegExp
  readonly remedy: RegExp
  /** The steps that are not tried because of it. */
  readonly skipped: readonly StepName[]
}

const behind = (name: StepName): readonly StepName[] => stepNames.slice(stepNames.indexOf(name) + 1)
const withoutNetwork = behind('authentication')
/** Credentials need no network. */
const afterNetwork = (name: StepName) =>
  behind(name).filter(step => step !== 'credentials' && step !== 'token')

const breakages: Readonly<Record<string, Breakage>> = {
  'a wrong option, and another one': {
    options: () => ({ port: 70_000, hots: 'localhost', password: secret.secretAccessKey }),
    at: 'options',
    code: 'RDS_IAM_OPTIONS',
    finding: /`hots` is not an option; `password` is not an option.*`port` is not a port.*70000/,
    remedy: /^Correct what is named/,
    skipped: behind('options'),
  },
  'credentials that are misspelled': {
    options: () => ({ credentials: { AccessKeyId: 'ASIA', SecretAccessKey: secret.secretAccessKey } }),
    at: 'options',
    code: 'RDS_IAM_OPTIONS',
    finding: /`credentials.accessKeyId` is missing/,
    remedy: /^Correct what is named/,
    skipped: behind('options'),
  },
  'a name that cannot be resolved': {
    // Reserved for names that do not exist, https://www.rfc-editor.org/rfc/rfc6761#section-6.4
    options: () => ({ host: 'database.invalid', endpoint }),
    at: 'dns',
    code: 'RDS_IAM_UNREACHABLE',
    finding: /ENOTFOUND|EAI_/,
    remedy: /cannot be resolved. Check its spelling/,
    skipped: afterNetwork('dns'),
  },
  'a port that nothing listens on': {
    options: async () => ({ port: await findClosedPort() }),
    at: 'tcp',
    code: 'RDS_IAM_UNREACHABLE',
    finding: /^connect ECONNREFUSED/,
    remedy: /^Nothing listens there/,
    skipped: afterNetwork('tcp'),
  },
  'packets that are swallowed': {
    options: async ({ options }) => {
      const relay = await startRelay(options.port)
      relay.swallow()
      return { port: relay.port, endpoint: { host: 'localhost', port: options.port }, connectTimeoutMs: 200 }
    },
    at: 'tls',
    code: 'RDS_IAM_UNREACHABLE',
    finding: /^no answer to the request for TLS within 200 ms$/,
    remedy: /A tunnel does so before it reaches the database/,
    skipped: afterNetwork('tls'),
  },
  'an authority that is not trusted': {
    options: () => ({ tls: { ca: authority.ca }, endpoint }),
    at: 'tls',
    code: 'RDS_IAM_TRUST',
    finding:
      /self-signed certificate.*the server presents RDS IAM gateway by RDS IAM gateway CA, for localhost/,
    remedy: /pass its PEM text as `tls.ca` \(on the command line, its file by `--ca-file`\)/,
    skipped: afterNetwork('tls'),
  },
  'the authority of another gateway': {
    options: () => ({ tls: { ca: authority.ca } }),
    at: 'tls',
    code: 'RDS_IAM_TRUST',
    finding:
      /self-signed certificate.*the server presents RDS IAM gateway by RDS IAM gateway CA, for localhost/,
    remedy: /Pass the authority of the gateway that runs now as `tls.ca`/,
    skipped: afterNetwork('tls'),
  },
  'the certificate of another server': {
    options: () => ({ endpoint }),
    at: 'tls',
    code: 'RDS_IAM_TRUST',
    finding: /does not match certificate's altnames.*the server presents .* for localhost/,
    remedy: /pass the real RDS endpoint as `endpoint`/,
    skipped: afterNetwork('tls'),
  },
  'a certificate that has expired': {
    options: async (_gated, kind) => {
      const dayAgo = (days: number) => new Date(Date.now() - days * 86_400_000)
      const certificate = await authority.issue({
        names: ['localhost'],
        notBefore: dayAgo(0.9),
        notAfter: dayAgo(0.1),
      })
      const { port } = await startRecording(kind, certificate)
      return { port, tls: { ca: authority.ca } }
    },
    at: 'tls',
    code: 'RDS_IAM_TRUST',
    finding: /certificate has expired.*valid from \d{4}-.*Z to \d{4}-/,
    remedy: /Rotate the certificate of the database instance/,
    skipped: afterNetwork('tls'),
  },
  'no authority for the Region': {
    options: () => ({
      region: 'xx-nowhere-1',
      tls: undefined,
      endpoint: { host: 'orders.c1x2.xx-nowhere-1.rds.amazonaws.com' },
    }),
    at: 'tls',
    code: 'RDS_IAM_TRUST',
    finding: /^(?:self-signed|unable to (?:get|verify)).*the server presents RDS IAM gateway by/,
    remedy:
      /for a Region whose authorities this package does not carry, the text of the certificate bundle .* RDS in xx-nowhere-1 names/,
    skipped: afterNetwork('tls'),
  },
  'no credentials': {
    options: () => ({ credentials: undefined }),
    at: 'credentials',
    code: 'RDS_IAM_CREDENTIALS',
    finding:
      /^no credentials from the AWS SDK's default chain: neither AWS_PROFILE nor AWS_ACCESS_KEY_ID is set/,
    remedy: /^Check that the process has AWS credentials/,
    skipped: ['token', 'authentication', ...withoutNetwork],
  },
  'credentials that have expired': {
    options: () => ({ credentials: { ...secret, expiration: new Date(Date.now() - 60_000) } }),
    at: 'credentials',
    code: 'RDS_IAM_CREDENTIALS',
    finding: /^the option `credentials`: access key ASIADIAGNOSISEXAMPLE expired at \d{4}-/,
    remedy: /^Renew them/,
    skipped: ['token', 'authentication', ...withoutNetwork],
  },
  'a provider that fails, and tells what it should not': {
    options: () => ({
      credentials: async () => {
        throw new Error(
          `GET https://sts/?X-Amz-Signature=${'ab'.repeat(32)}&X-Amz-Security-Token=abc%2Fdef failed`,
        )
      },
    }),
    at: 'credentials',
    code: 'RDS_IAM_CREDENTIALS',
    finding: /X-Amz-Signature=…&X-Amz-Security-Token=… failed$/,
    remedy: /^Check that the process has AWS credentials/,
    skipped: ['token', 'authentication', ...withoutNetwork],
  },
  'a provider that never answers': {
    options: () => ({ credentials: () => new Promise(() => {}), connectTimeoutMs: 200 }),
    at: 'credentials',
    code: 'RDS_IAM_CREDENTIALS',
    finding: /^no credentials from the provider in the option `credentials` within 200 ms$/,
    remedy: /^Check that the provider of the credentials answers/,
    skipped: ['token', 'authentication', ...withoutNetwork],
  },
  'a provider that gives nothing': {
    options: () => ({ credentials: async () => ({}) }),
    at: 'credentials',
    code: 'RDS_IAM_CREDENTIALS',
    finding: /gave no access key$/,
    remedy: /^Check that it gives/,
    skipped: ['token', 'authentication', ...withoutNetwork],
  },
  'a signer that signs for something else': {
    options: () => ({
      signer: () => `other:5432/?Action=connect&DBUser=x&X-Amz-Signature=${'0a'.repeat(32)}`,
    }),
    at: 'token',
    code: 'RDS_IAM_CREDENTIALS',
    finding: /^The signer did not return an authentication token for notes_app@localhost/,
    remedy: /^Check that it signs for exactly these/,
    skipped: ['authentication', ...withoutNetwork],
  },
  'a signer that fails, and tells what it should not': {
    options: () => ({
      signer: () => {
        throw new Error(
          `cannot use localhost:5432/?Action=connect&DBUser=x&X-Amz-Signature=${'0a'.repeat(32)}`,
        )
      },
    }),
    at: 'token',
    code: 'RDS_IAM_CREDENTIALS',
    finding: /cannot use localhost:5432\/\?Action=connect&…$/,
    remedy: /^Check that the process has AWS credentials/,
    skipped: ['authentication', ...withoutNetwork],
  },
  'a wrong key': {
    gate: { credentials: [secret] },
    options: () => ({ credentials: { ...secret, secretAccessKey: 'another/key+of=the/same+role' } }),
    at: 'authentication',
    code: 'RDS_IAM_ACCESS_DENIED',
    finding: /PAM authentication failed|Access denied/,
    remedy: /arn:aws:rds-db:eu-west-1:<account>:dbuser:<DbiResourceId>\/notes_app/,
    skipped: withoutNetwork,
  },
  'a role that may not connect': {
    gate: {
      policy: {
        document: {
          Version: '2012-10-17',
          Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' },
        },
        resourceId: 'db-ABCDEFGHIJKL01234',
      },
    },
    at: 'authentication',
    code: 'RDS_IAM_ACCESS_DENIED',
    finding: /PAM authentication failed|Access denied/,
    remedy: /Check first that the role may `rds-db:connect`/,
    skipped: withoutNetwork,
  },
  'a user that is no IAM user': {
    gate: { users: ['somebody_else'] },
    at: 'authentication',
    code: 'RDS_IAM_NOT_GRANTED',
    finding: /asked for a password by SCRAM|Access denied/,
    remedy: /does not take notes_app for an IAM user\. Run `CREATE USER .notes_app/,
    skipped: withoutNetwork,
  },
  'a database that is not there': {
    options: () => ({ database: 'nowhere' }),
    at: 'session',
    code: 'RDS_IAM_DATABASE',
    finding: /nowhere/,
    remedy: /there is no database "nowhere"|GRANT ALL PRIVILEGES ON `nowhere`/,
    skipped: behind('session'),
  },
}

for (const kind of kinds) {
  const { name, server, diagnose, gate, engine } = kind

  test(`${name}: goes the whole way where all is well`, async () => {
    const { gateway, options } = await gate({ credentials: [secret] })
    const credentials = { ...secret, expiration: new Date(Date.now() + 3_600_000) }
    const report = await diagnose({ ...options, credentials })
    assert.deepEqual([report.ok, report.engine, stepsThat(report, 'failed')], [true, engine, []])
    assert.equal(report.target, `notes_app@localhost:${gateway.port}/notes in eu-west-1`)
    assert.ok(report.steps.every(({ durationMs }) => durationMs >= 0 && durationMs <= report.durationMs))
    for (const step of stepNames.slice(0, stepNames.indexOf('session')))
      assert.equal(stepOf(report, step).status, 'ok', step)

    const { accessKeyId } = secret
    const { version, chain, names } = stepOf(report, 'tls').details ?? {}
    assert.deepEqual([version, chain], ['TLSv1.3', ['RDS IAM gateway', 'RDS IAM gateway CA']])
    assert.ok((names as string[]).includes('localhost'))
    const found = stepOf(report, 'credentials').details
    assert.deepEqual([found?.provider, found?.accessKeyId, found?.isTemporary], ['option', accessKeyId, true])
    assert.equal(found?.expiresAt, credentials.expiration.toISOString())
    const token = stepOf(report, 'token').details
    assert.deepEqual(
      [token?.host, token?.port, token?.user, token?.region, token?.accessKeyId, token?.hasSessionToken],
      ['localhost', gateway.port, 'notes_app', 'eu-west-1', accessKeyId, true],
    )
    assert.ok(Number(token?.ageMs) < 60_000 && Number(token?.remainingMs) > 800_000)

    assert.match(stepOf(report, 'session').finding, /^notes_app(@%)? in the database notes$/)
    assert.match(stepOf(report, 'encryption').finding, /^TLSv1\.3, .*a proxy or a gateway stands in between$/)
    assert.ok(stepOf(report, 'version').finding.startsWith(server), server)
    assert.equal(stepOf(report, 'writes').finding, 'takes writes')

    while (gateway.stats().open > 0) await new Promise(resolve => setImmediate(resolve))
    const { admitted, tokens } = gateway.stats()
    assert.deepEqual({ admitted, tokens }, { admitted: 1, tokens: 1 }, 'one token, and no connection left')
  })

  for (const [title, { gate: gateOptions, options, at, code, finding, remedy, skipped }] of Object.entries(
    breakages,
  )) {
    test(`${name}: says where it breaks with ${title}`, async t => {
      setEnvironment(t, { ...withoutCredentials, NODE_EXTRA_CA_CERTS: undefined })
      const gated = await gate(gateOptions)
      const broken = { ...gated.options, ...(await options?.(gated, kind)) } as RdsIamOptions
      const report = await diagnose(broken)
      assert.equal(report.ok, false)
      assert.deepEqual(stepsThat(report, 'failed'), [at])
      const step = stepOf(report, at)
      assert.equal(step.code, typeof code === 'string' ? code : code[engine])
      assert.match(step.finding, finding)
      assert.match(step.remedy ?? '', remedy)
      assert.deepEqual(stepsThat(report, 'skipped'), skipped)
      for (const name of skipped)
        assert.equal(stepOf(report, name).finding, `not tried, because ${at} failed`)
    })
  }

  test(`${name}: gives no byte of a token to a server whose certificate has another name`, async () => {
    const certificate = await authority.issue({ names: ['db.example.com'] })
    const server = await startRecording(kind, certificate)
    const { options } = await gate()
    const report = await diagnose({ ...options, port: server.port, tls: { ca: authority.ca } })
    assert.deepEqual(stepsThat(report, 'failed'), ['tls'])
    assert.equal(server.connections(), 1)
    assert.doesNotMatch(await server.received(), /Action=connect|X-Amz/)
  })

  test(`${name}: says that something else than a database listens there`, async () => {
    const http = createServer(socket => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    const { port } = http.address() as { port: number }
    const { options } = await gate()
    const report = await diagnose({ ...options, port })
    http.close()
    assert.deepEqual(stepsThat(report, 'failed'), ['tls'])
    assert.match(
      stepOf(report, 'tls').remedy ?? '',
      /Check that the host and the port are those of the RDS database/,
    )
  })

  test(`${name}: names every step that fails, the network and the credentials`, async t => {
    setEnvironment(t, withoutCredentials)
    const { options } = await gate()
    const report = await diagnose({ ...options, port: await findClosedPort(), credentials: undefined })
    assert.deepEqual(stepsThat(report, 'failed'), ['tcp', 'credentials'])
    assert.equal(stepOf(report, 'token').finding, 'not tried, because credentials failed')
  })

  test(`${name}: says of which account's database the role has to be allowed in Lambda, and asks once`, async () => {
    const { decisions, options } = await gate({ credentials: [secret] })
    const report = await diagnose(options, lambdaContext())
    assert.match(stepOf(report, 'authentication').remedy ?? '', /rds-db:eu-west-1:123456789012:dbuser/)
    assert.deepEqual(
      decisions.filter(({ tokenId }) => tokenId !== undefined).map(({ reason }) => reason),
      ['InvalidToken'],
    )
  })

  test(`${name}: tries nothing in an invocation without time`, async () => {
    const { gateway, options } = await gate()
    const report = await diagnose(options, lambdaContext(0))
    assert.equal(stepOf(report, 'dns').finding, 'the invocation has no time left to connect')
    assert.match(stepOf(report, 'dns').remedy ?? '', /Raise the function's timeout/)
    assert.equal(gateway.stats().connections, 0)
  })

  test(`${name}: finds the credentials of the function's role in Lambda`, async t => {
    setEnvironment(t, {
      ...withoutCredentials,
      AWS_ACCESS_KEY_ID: secret.accessKeyId,
      AWS_SECRET_ACCESS_KEY: secret.secretAccessKey,
      AWS_SESSION_TOKEN: secret.sessionToken,
      AWS_LAMBDA_FUNCTION_NAME: 'notes',
    })
    const { options } = await gate({ credentials: [secret] })
    const report = await diagnose({ ...options, credentials: undefined }, lambdaContext())
    assert.equal(report.ok, true)
    assert.match(
      stepOf(report, 'credentials').finding,
      /^the function's role, in the environment: access key ASIADIAG/,
    )
    for (const [label, key] of Object.entries(secret))
      assert.equal(JSON.stringify(report).includes(key), label === 'accessKeyId', label)
  })

  test(`${name}: doubts a temporary access key without its session token`, async () => {
    const { sessionToken: _, ...incomplete } = secret
    const { options } = await gate({ credentials: [secret] })
    const report = await diagnose({ ...options, credentials: incomplete })
    assert.equal(stepOf(report, 'credentials').status, 'warning')
    assert.match(stepOf(report, 'credentials').remedy ?? '', /set AWS_SESSION_TOKEN/)
    assert.deepEqual(stepsThat(report, 'failed'), ['authentication'])
  })

  test(`${name}: doubts a session token beside a long-lived access key, and white space`, async () => {
    const { options } = await gate()
    for (const [credentials, remedy] of [
      [{ ...secret, accessKeyId: 'AKIADIAGNOSISEXAMPLE' }, /unset AWS_SESSION_TOKEN/],
      [{ ...secret, secretAccessKey: `${secret.secretAccessKey}\n` }, /white space in `secretAccessKey`/],
    ] as const) {
      const report = await diagnose({ ...options, credentials })
      const step = stepOf(report, 'credentials')
      assert.equal(step.status, 'warning')
      assert.match(step.remedy ?? '', remedy)
      assert.deepEqual(stepsThat(report, 'failed'), ['authentication'])
    }
  })

  test(`${name}: doubts credentials, and the token with them, that end in a moment`, async () => {
    const { options } = await gate({ credentials: [secret] })
    const credentials = { ...secret, expiration: new Date(Date.now() + 20_000) }
    const report = await diagnose({ ...options, credentials })
    assert.equal(stepOf(report, 'token').status, 'warning')
    assert.match(
      stepOf(report, 'token').remedy ?? '',
      /near its end, because the credentials are: renew them/,
    )
    assert.equal(report.ok, true)
  })

  test(`${name}: looks through the driver's options that change rows`, async () => {
    const { options } = await gate()
    const client =
      engine === 'mysql'
        ? { rowsAsArray: true, nestTables: '_', typeCast: false }
        : { types: { getTypeParser: () => () => 'nothing' } }
    const report = await diagnose({ ...options, client } as RdsIamOptions)
    assert.equal(report.ok, true)
    assert.match(stepOf(report, 'session').finding, /^notes_app(@%)? in the database notes$/)
    assert.equal(stepOf(report, 'writes').finding, 'takes writes')
  })

  test(`${name}: doubts a database that takes no writes`, async t => {
    const { options } = await gate()
    const [on, off] =
      engine === 'mysql'
        ? ['SET GLOBAL read_only = ON', 'SET GLOBAL read_only = OFF']
        : ['ALTER ROLE notes_app SET default_transaction_read_only = on', 'ALTER ROLE notes_app RESET ALL']
    await kind.query(on)
    t.after(() => kind.query(off))
    const report = await diagnose(options)
    const { status, finding, remedy, details } = stepOf(report, 'writes')
    assert.deepEqual([report.ok, status, details?.isReadOnly], [true, 'warning', true])
    assert.match(finding, /^read-only: /)
    assert.match(remedy ?? '', /^For writing, /)
  })
}

const postgres = kinds.find(({ engine }) => engine === 'postgres') ?? assert.fail()
for (const other of kinds.filter(({ engine }) => engine === 'mysql')) {
  test(`says that ${other.name} is there in place of PostgreSQL`, async () => {
    const { options } = await postgres.gate()
    const report = await postgres.diagnose({ ...options, port: other.port })
    const { finding, remedy } = stepOf(report, 'tls')
    assert.equal(finding, 'a server of MySQL or MariaDB greets there')
    assert.match(remedy ?? '', /`--engine mysql`/)
  })

  test(`says that PostgreSQL may be there in place of ${other.name}`, async () => {
    const { options } = await other.gate()
    const report = await other.diagnose({ ...options, port: postgres.port, connectTimeoutMs: 300 })
    assert.equal(stepOf(report, 'tls').finding, 'no answer to the request for TLS within 300 ms')
    assert.match(stepOf(report, 'tls').remedy ?? '', /PostgreSQL, too, says nothing .*`--engine postgres`/)
  })
}
