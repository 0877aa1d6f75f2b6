import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type IssuedCertificate, makeAuthority } from '../../../kit/src/index.ts'
import { runModule } from '../../support/node-process.ts'
import { startRecordingMysqlServer } from '../../support/recording-mysql-server.ts'
import { passwordRequest, sslRequest, startRecordingServer } from '../../support/recording-server.ts'

const [authority, stranger] = await Promise.all([makeAuthority('trusted'), makeAuthority('stranger')])
const issue = { names: ['localhost'] }

/** Servers that must never see a token, and one that must. */
const openings = {
  'another authority': await stranger.issue(issue),
  'another name': await authority.issue({ names: ['db.example.com'] }),
  'no TLS': { plaintext: Buffer.from('N') },
  'a password asked for in place of TLS': { plaintext: passwordRequest },
  'the database': await authority.issue(issue),
}

const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-native-'))
after(() => rmSync(folder, { recursive: true }))
mkdirSync(join(folder, 'pg-native'))
writeFileSync(
  join(folder, 'pg-native', 'index.js'),
  'module.exports = class { connect(string, callback) { console.error("pg-native is used"); callback(new Error("pg-native is used")) } }',
)
const pgNative = { NODE_PG_FORCE_NATIVE: '1', NODE_PATH: folder }

/** Connects to each server in turn, in a process with these environment variables. */
async function connectToAll(kind: string, variables: Readonly<Record<string, string>>) {
  const servers = await Promise.all(Object.values(openings).map(startRecordingServer))
  const outcomes = (await runModule(
    `import middy from '@middy/core'
     import * as entry from './src/pg.ts'
     const context = { getRemainingTimeInMillis: () => 30_000 }
     const outcomes = []
     for (const port of ${JSON.stringify(servers.map(({ port }) => port))}) {
       const options = {
         host: 'localhost', port, user: 'app', region: 'eu-west-1', tls: { ca: ${JSON.stringify(authority.ca)} },
         credentials: { accessKeyId: 'defaultkey', secretAccessKey: 'defaultsecret' },
       }
       const handler = middy().use(entry.${kind}(options)).handler((_event, { db }) => db.end())
       outcomes.push(await handler(undefined, { ...context }).then(() => 'connected', error => error.code + ': ' + error.message))
     }
     console.log(JSON.stringify(outcomes))`,
    variables,
  )) as string[]
  return Promise.all(
    Object.keys(openings).map(async (title, index) => ({
      title,
      outcome: outcomes[index] ?? '',
      connections: servers[index]?.connections(),
      received: await servers[index]?.received(),
    })),
  )
}

const environments: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'nothing set': {},
  'NODE_TLS_REJECT_UNAUTHORIZED=0': { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
  'PGSSLMODE=no-verify': { PGSSLMODE: 'no-verify' },
  'PGSSLMODE=disable': { PGSSLMODE: 'disable' },
  'PGSSLMODE=prefer and PGPASSWORD': { PGSSLMODE: 'prefer', PGPASSWORD: 'hunter2' },
  'PGSSLNEGOTIATION=direct': { PGSSLNEGOTIATION: 'direct' },
  'NODE_PG_FORCE_NATIVE=1 and pg-native': pgNative,
}

for (const kind of ['iamPg', 'iamPgPool']) {
  for (const [title, variables] of Object.entries(environments)) {
    test(`${kind} gives its token to the verified database alone with ${title}`, async () => {
      for (const { title, outcome, connections, received } of await connectToAll(kind, variables)) {
        assert.ok(connections, `${title}: never asked`)
        assert.doesNotMatch(received ?? '', /hunter2/)
        if (title === 'the database') {
          assert.equal(outcome, 'connected')
          assert.match(received ?? '', /DBUser=app.*X-Amz-Signature=/)
        } else {
          assert.match(outcome, /^RDS_IAM_TRUST: /, title)
          assert.doesNotMatch(received ?? '', /X-Amz-|DBUser/, title)
          assert.ok(received === '' || received === sslRequest, `${title}: ${JSON.stringify(received)}`)
        }
      }
    })
  }
}

for (const kind of ['iamPg', 'iamPgPool']) {
  test(`${kind} gives no byte of a token to anybody with NODE_PG_FORCE_NATIVE and no pg-native, which pg itself asks for`, async () => {
    await assert.rejects(connectToAll(kind, { NODE_PG_FORCE_NATIVE: '1' }), /Cannot find module 'pg-native'/)
  })
}

for (const [kind, variable, entry] of [
  ['createPgPool', 'PGSSLROOTCERT', 'pg'],
  ['createMysqlPool', 'MYSQL_SSL_CA', 'mysql2'],
] as const) {
  /** Connects with one more file of authorities, and without the option `tls`. */
  const connectWith = async (file: string, port: number) =>
    runModule(
      `import { ${kind} } from './src/${entry}.ts'
       const pool = ${kind}({
         host: 'localhost', port: ${port}, user: 'app', region: 'eu-west-1', retryRefused: false, connectTimeoutMs: 3000,
         credentials: { accessKeyId: 'defaultkey', secretAccessKey: 'defaultsecret' },
       })
       const outcome = await pool.query('DO 1').then(() => 'connected', error => error.code + ': ' + error.message)
       await pool.close()
       console.log(JSON.stringify(outcome))`,
      { [variable]: file },
    ) as Promise<string>
  const start =
    entry === 'pg'
      ? startRecordingServer
      : (certificate: IssuedCertificate) => startRecordingMysqlServer({ certificate })
  const write = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }

  test(`${variable} adds the authorities of a file, and only those`, async () => {
    const file = write('ca.pem', authority.ca)
    const trusted = await start(await authority.issue(issue))
    assert.equal(await connectWith(file, trusted.port), 'connected')
    for (const certificate of [
      await stranger.issue(issue),
      await authority.issue({ names: ['db.example.com'] }),
    ]) {
      const server = await start(certificate)
      assert.match(await connectWith(file, server.port), /^RDS_IAM_TRUST: /)
      assert.doesNotMatch(await server.received(), /X-Amz-/)
    }
  })

  for (const [title, file, message] of [
    ['is not there', join(folder, 'missing.pem'), /names a file that cannot be read: ENOENT/],
    [
      'holds no certificate',
      write('empty.pem', 'nothing'),
      /names a file \(.*empty\.pem\) that holds no certificate/,
    ],
    ['holds a private key', write('key.pem', '-----BEGIN PRIVATE KEY-----'), /that holds a private key/],
  ] as const) {
    test(`${variable} stops before a connection is opened where its file ${title}`, async () => {
      const server = await start(await authority.issue(issue))
      const outcome = await connectWith(file, server.port)
      assert.match(outcome, /^RDS_IAM_TRUST: /)
      assert.match(outcome, new RegExp(`${variable} .*${message.source}`))
      assert.equal(server.connections(), 0)
    })
  }
}

test('PGSSLROOTCERT=system, which names no file, adds nothing', async () => {
  const outcomes = await connectToAll('iamPg', { PGSSLROOTCERT: 'system' })
  assert.equal(outcomes.at(-1)?.outcome, 'connected')
  assert.match(outcomes[0]?.outcome ?? '', /^RDS_IAM_TRUST: /)
})
