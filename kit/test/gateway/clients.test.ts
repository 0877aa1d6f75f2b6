// Clients that are not of this language: they make their tokens, their TLS and their bytes by themselves.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { rootCertificates } from 'node:tls'
import { promisify } from 'node:util'
import { speaksDirectTls } from '../../../test/support/capabilities.ts'
import { startTlsPostgres } from '../../../test/support/tls-postgres.ts'
import { findOnPath } from '../../src/database/mysql-program.ts'
import type { Gateway } from '../../src/index.ts'
import { describeMysql, openMysqlGateway } from './mysql-support.ts'
import { openGateway, openPostgres, region, type Scope, signToken, standIn } from './support.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const python = [join(root, '.local', 'python', 'bin', 'python'), 'python3'].find(
  program => spawnSync(program, ['-c', 'import boto3, psycopg, pymysql']).status === 0,
)
const psql = findOnPath('psql')
const withoutPython = {
  skip:
    python === undefined &&
    'no Python with boto3, psycopg and PyMySQL, which .ci/run installs into .local/python',
}
const withoutPsql = { skip: psql === undefined && 'no psql on the PATH' }
/** The version of the libpq that psycopg brings, for example `180000`. */
const libpq = Number(
  python && spawnSync(python, ['-c', 'import psycopg; print(psycopg.pq.version())']).stdout,
)

// The gateway begins as the server behind it does; what it says where that takes none is in first-bytes.test.ts.
const withTls = await startTlsPostgres('hostssl all all 127.0.0.1/32 trust')
const isDirect = await speaksDirectTls({ port: withTls.server.port, ca: withTls.ca })

/** The authority of a gateway as a file. */
function writeCa(t: Scope, { ca }: Gateway): string {
  const folder = mkdtempSync(join(tmpdir(), 'rds-iam-clients-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'ca.pem'), ca)
  return join(folder, 'ca.pem')
}

/** Runs a client that knows the key pair and nothing else of this process, and gives what it prints. */
async function run(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const keys = { AWS_ACCESS_KEY_ID: standIn.accessKeyId, AWS_SECRET_ACCESS_KEY: standIn.secretAccessKey }
  const own = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', AWS_DEFAULT_REGION: region, ...keys }
  const { stdout } = await promisify(execFile)(program, args, { env: { ...own, ...env } })
  return stdout.trim()
}

interface Login {
  readonly engine: 'postgres' | 'mysql'
  readonly user?: string
  readonly ca: string
  /** Options of libpq. */
  readonly options?: Readonly<Record<string, string>>
}

const logInByPython = ({ port }: Gateway, { engine, user = 'app', ca, options = {} }: Login) =>
  run(python ?? '', [
    join(import.meta.dirname, 'log-in.py'),
    engine,
    String(port),
    user,
    ca,
    JSON.stringify(options),
  ])

const postgres = await openPostgres({ after })
await postgres.query('CREATE USER "a b+c/ü"')

await describeMysql({ after }, server => {
  it('lets in PyMySQL with a token of boto3, and nobody else', withoutPython, async t => {
    const { gateway, decisions } = await openMysqlGateway(t, server, { users: ['app'] })
    const ca = writeCa(t, gateway)
    assert.equal(await logInByPython(gateway, { engine: 'mysql', ca }), 'app')
    await assert.rejects(
      logInByPython(gateway, { engine: 'mysql', user: 'App', ca }),
      /1045, "Access denied for user/,
    )
    assert.deepEqual(
      decisions.map(({ verdict, reason }) => [verdict, reason]),
      [
        ['admitted', undefined],
        ['refused', 'NotIamUser'],
      ],
    )
  })
})

describe('PostgreSQL', () => {
  const engine = 'postgres'

  it('lets in psycopg with a token of boto3, whatever the name', withoutPython, async t => {
    const { gateway } = await openGateway(t, postgres)
    const ca = writeCa(t, gateway)
    for (const user of ['app', 'App', 'a b+c/ü'])
      assert.equal(await logInByPython(gateway, { engine, user, ca }), user)
  })

  it(
    `lets in libpq with the newest protocol${isDirect ? ', and with direct TLS' : ''}`,
    withoutPython,
    async t => {
      const { gateway } = await openGateway(t, postgres)
      const ca = writeCa(t, gateway)
      // Both options are of libpq 18; an older one would refuse them itself, and nothing would reach the gateway.
      if (libpq < 180_000) return t.skip(`psycopg brings libpq ${libpq}, which has no newer protocol`)
      // The first login is with a gateway that does not know the server yet, the second with one that does.
      for (const options of [
        { max_protocol_version: 'latest' },
        { max_protocol_version: 'latest' },
        ...(isDirect ? [{ sslnegotiation: 'direct' }] : []),
      ])
        assert.equal(await logInByPython(gateway, { engine, ca, options }), 'app')
    },
  )

  it(
    'refuses psycopg in the words of RDS, and asks a user who is none for IAM for a password',
    withoutPython,
    async t => {
      const late = { now: () => Date.now() + 16 * 60_000 }
      const { gateway, decisions } = await openGateway(t, postgres, { users: ['app'], ...late })
      const ca = writeCa(t, gateway)
      await assert.rejects(logInByPython(gateway, { engine, ca }), /PAM authentication failed for user "app"/)
      await assert.rejects(
        logInByPython(gateway, { engine, user: 'App', ca }),
        /password authentication failed for user "App"/,
      )
      assert.deepEqual(
        decisions.map(({ reason }) => reason),
        ['ExpiredToken', 'NotIamUser'],
      )
    },
  )

  it('lets in psql, and refuses it', withoutPsql, async t => {
    const { gateway, decisions } = await openGateway(t, postgres, { users: ['app'] })
    const ca = writeCa(t, gateway)
    const ask = (user: string, PGPASSWORD: string, PGSSLROOTCERT = ca) =>
      run(
        psql ?? '',
        ['--no-psqlrc', '--no-password', '--tuples-only', '--no-align', '--command=SELECT current_user'],
        {
          PGHOST: 'localhost',
          PGPORT: String(gateway.port),
          PGUSER: user,
          PGDATABASE: 'orders',
          PGSSLMODE: 'verify-full',
          PGSSLROOTCERT,
          PGPASSWORD,
        },
      )
    const token = await signToken(gateway)
    assert.equal(await ask('app', token), 'app')
    await assert.rejects(ask('app', 'secret'), /FATAL: {2}PAM authentication failed for user "app"/)
    await assert.rejects(ask('App', token), /FATAL: {2}password authentication failed for user "App"/)
    const stranger = writeCa(t, { ...gateway, ca: rootCertificates[0] ?? '' })
    await assert.rejects(ask('app', token, stranger), /certificate verify failed/)
    assert.deepEqual(
      decisions.map(({ reason }) => reason),
      [undefined, 'InvalidToken', 'NotIamUser', 'NotTrusted'],
    )
  })
})
