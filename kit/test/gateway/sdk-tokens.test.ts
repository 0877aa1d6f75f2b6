import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { describeAnyMysql, openMysqlGateway, tryMysql } from './mysql-support.ts'
import { sdkEndpoint, sdkSessionPair, sdkTokens } from './sdk-tokens.ts'
import { makeClient, openGateway, openPostgres, standIn, tryConnect } from './support.ts'

let nowMs = 0
const options = {
  endpoints: [sdkEndpoint],
  credentials: [standIn, sdkSessionPair],
  now: () => nowMs,
}

/** When a token was signed, as it says itself. */
function signedAt(token: string): number {
  const [, day, time] = /X-Amz-Date=(\d{8})T(\d{6})Z/.exec(token) ?? []
  const iso = `${day}T${time}Z`.replace(/(....)(..)(..)T(..)(..)(..)/, '$1-$2-$3T$4:$5:$6')
  return Date.parse(iso)
}

/** The parts of a token that one SDK does otherwise than another. */
function shapeOf(token: string): string {
  return token.replace(/=[^&]*/g, '').replace(/^[^/?]+/, '')
}

const postgres = await openPostgres({ after })
for (const user of new Set(sdkTokens.map(token => token.user)))
  if (user !== 'app') await postgres.query(`CREATE USER "${user}"`)

await describeAnyMysql({ after }, server => {
  for (const { sdk, user, text } of sdkTokens.filter(token => token.user === 'app')) {
    it(`lets in whom a token was signed for by ${sdk}`, async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server, options)
      nowMs = signedAt(text)
      assert.equal(await tryMysql(gateway, { user }, text), undefined)
      assert.equal(decisions[0]?.verdict, 'admitted')
    })
  }
})

describe('PostgreSQL lets in whom a token was signed for by', () => {
  for (const { sdk, user, text } of sdkTokens) {
    it(`${sdk}, for ${user}`, async t => {
      const { gateway, decisions } = await openGateway(t, postgres, options)
      nowMs = signedAt(text)
      const client = makeClient(gateway, text, { user })
      await client.connect()
      assert.deepEqual((await client.query('SELECT current_user AS user')).rows, [{ user }])
      await client.end()
      assert.equal(decisions[0]?.verdict, 'admitted')
      // And nobody else, at no other time, with nothing changed.
      const other = await tryConnect(makeClient(gateway, text, { user: 'App' }))
      assert.match(decisions[1]?.detail ?? '', /signed for the database user/)
      nowMs += 901_000
      const late = await tryConnect(makeClient(gateway, text, { user }))
      assert.equal(decisions[2]?.reason, 'ExpiredToken')
      nowMs -= 901_000
      const forged = await tryConnect(
        makeClient(gateway, text.replace('X-Amz-Expires=900', 'X-Amz-Expires=899'), { user }),
      )
      assert.match(decisions[3]?.detail ?? '', /signature does not match/)
      for (const error of [other, late, forged]) assert.equal(error?.code, '28000')
    })
  }
})

it('the SDKs do it in five ways, one of them without a slash', () => {
  const shapes = new Set(sdkTokens.filter(({ user }) => user !== 'app').map(({ text }) => shapeOf(text)))
  assert.equal(shapes.size, 5)
  assert.equal([...shapes].filter(shape => shape.startsWith('?')).length, 1)
})
