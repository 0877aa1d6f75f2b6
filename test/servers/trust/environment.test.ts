import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { makeAuthority } from '../../../kit/src/index.ts'
import { runModule } from '../../support/node-process.ts'
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

test('iamPg does not mind NODE_PG_FORCE_NATIVE without pg-native: it uses the JavaScript client', async () => {
  const outcomes = await connectToAll('iamPg', { NODE_PG_FORCE_NATIVE: '1' })
  assert.equal(outcomes.at(-1)?.outcome, 'connected')
})

test('iamPgPool gives no byte of a token to anybody with NODE_PG_FORCE_NATIVE and no pg-native', async () => {
  for (const { outcome, received } of await connectToAll('iamPgPool', { NODE_PG_FORCE_NATIVE: '1' })) {
    assert.match(outcome, /pg-native/)
    assert.equal(received, '')
  }
})
