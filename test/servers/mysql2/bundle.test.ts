// What the bundle of a function leaves out, as template.yaml has it.
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { buildFunction } from '../../../local/build-function.ts'
import { startFunction } from '../../../local/function-process.ts'
import { NotInstalled, standInIdentity, startStack } from '../../../local/stack.ts'
import { readTemplate } from '../../../local/template.ts'

const stack = await startStack('mysql').catch((error: unknown) => {
  if (error instanceof NotInstalled) return error
  throw error
})
const skip = stack instanceof NotInstalled && stack.message

test('knows every character set but the large ones, and says which file of these it lacks', {
  skip,
}, async () => {
  assert.ok(!(stack instanceof NotInstalled))
  after(() => stack.database.close())
  const sample = readTemplate().Resources.MysqlNotesFunction
  const BuildProperties = {
    ...sample.Metadata.BuildProperties,
    EntryPoints: ['../test/servers/mysql2/functions/query.ts'],
  }
  const built = await buildFunction('query', { ...sample, Metadata: { ...sample.Metadata, BuildProperties } })
  // Where no package is found.
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-bundle-'))
  after(() => rmSync(folder, { recursive: true }))
  cpSync(built, folder, { recursive: true })
  const environment = { ...standInIdentity, ...stack.functionEnvironment('localhost') }
  const query = await startFunction({ name: 'query', folder, handler: 'query.handler', environment })
  after(() => query.stop())

  const ask = async (charset: string) => {
    const { payload, error } = await query.invoke([
      `SET character_set_results = ${charset}`,
      "SELECT _utf8mb4'文字' AS text",
    ])
    return (payload as { text: string }[] | undefined)?.[0]?.text ?? error?.errorMessage
  }
  assert.equal(await ask('utf8mb4'), '文字')
  // mysql2 takes MySQL's older utf8 for another encoding, which iconv-lite has the code of.
  assert.equal(await ask('utf8'), '文字')
  assert.match(String(await ask('gbk')), /Cannot find module '.*iconv-lite\/encodings\/tables\/cp936\.json'/)
  const { payload } = await query.invoke(["SELECT _utf8mb4'Привет' AS text", 'SELECT 1 AS one'])
  assert.deepEqual(payload, [{ one: 1 }], 'the process and the next invocation live on')
})
