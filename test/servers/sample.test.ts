import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { MysqlKind } from '../../kit/src/database/mysql.ts'
import { buildSample, type EngineName, startSample, startStack } from '../../local/stack.ts'
import { root } from '../../local/template.ts'
import type { DiagnosisReport } from '../../src/diagnose/diagnosis-report.ts'
import { findMysqlKinds } from '../support/database.ts'
import { stepNames } from '../support/diagnosis.ts'
import { holdTests } from '../support/registration.ts'

const allRegistered = holdTests()

function readEvent(file: string): unknown {
  return JSON.parse(readFileSync(join(root, 'events', file), 'utf8'))
}

const { kinds, missing } = findMysqlKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

for (const kind of ['postgres', ...kinds] as const) {
  await testSample(kind === 'postgres' ? 'postgres' : 'mysql', kind)
}

async function testSample(engine: EngineName, name: 'postgres' | MysqlKind): Promise<void> {
  const kind = name === 'postgres' ? undefined : name
  const [stack, folder] = await Promise.all([startStack(engine, { kind }), buildSample(engine)])
  const notes = await startSample(stack, folder)
  after(async () => {
    await notes.stop()
    await stack.database.close()
  })

  test(`${name}: adds a note and lists it`, async () => {
    const added = await notes.invoke(readEvent('add-note.json'))
    assert.equal(added.error, undefined)
    const { id, text, createdAt } = added.payload as { id: number; text: string; createdAt: string }
    assert.equal(text, (readEvent('add-note.json') as { text: string }).text)
    assert.ok(!Number.isNaN(Date.parse(createdAt)))
    const listed = await notes.invoke(readEvent('list-notes.json'))
    assert.deepEqual(listed.payload, [{ id, text, createdAt }])
  })

  test(`${name}: tells who it is and how it is encrypted`, async () => {
    const { payload } = await notes.invoke(readEvent('who-am-i.json'))
    const { user, database, server, tls } = payload as Record<string, unknown>
    assert.deepEqual(
      { user, database, tls },
      {
        user: 'notes_app',
        database: 'notes',
        tls: { version: 'TLSv1.3', cipher: stack.database.decisions[0]?.tls?.cipher },
      },
    )
    assert.match(
      String(server),
      { postgres: /^PostgreSQL/, mysql: /^\d+\.\d+\.\d+(?!.*MariaDB)/, mariadb: /MariaDB/ }[name],
    )
  })

  test(`${name}: takes SQL in a note for text`, async () => {
    const text = `'); DROP TABLE notes; --`
    const added = await notes.invoke({ action: 'add', text })
    assert.equal((added.payload as { text: string }).text, text)
    const listed = await notes.invoke({ action: 'list' })
    assert.equal((listed.payload as { text: string }[])[0]?.text, text)
  })

  for (const [event, message] of [
    [{ action: 'drop' }, 'Expected `action` to be "add", "diagnose", "list" or "whoami", got "drop"'],
    [{}, 'Expected `action` to be "add", "diagnose", "list" or "whoami", got undefined'],
    [null, 'Expected `action` to be "add", "diagnose", "list" or "whoami", got undefined'],
    [{ action: 'add' }, 'Expected `text` to be a text that is not empty, got undefined'],
    [{ action: 'add', text: ' ' }, 'Expected `text` to be a text that is not empty, got " "'],
    [{ action: 'add', text: 5 }, 'Expected `text` to be a text that is not empty, got 5'],
  ] as const) {
    test(`${name}: says what is wrong with the event ${JSON.stringify(event)}`, async () => {
      const { error } = await notes.invoke(event)
      assert.deepEqual([error?.errorType, error?.errorMessage], ['InvalidEvent', message])
    })
  }

  test(`${name}: has used one connection and one token for all of it`, () => {
    const { connections, tokens, admitted } = stack.database.stats()
    assert.deepEqual({ connections, tokens, admitted }, { connections: 1, tokens: 1, admitted: 1 })
  })

  test(`${name}: can neither change nor delete what it wrote`, async () => {
    const privileges = await stack.database.query(
      `SELECT privilege_type AS name FROM information_schema.table_privileges
        WHERE grantee IN ('notes_app', '''notes_app''@''%''') AND table_name = 'notes' ORDER BY name`,
    )
    assert.deepEqual(
      privileges.map(row => ({ ...row })),
      [{ name: 'INSERT' }, { name: 'SELECT' }],
    )
  })

  test(`${name}: writes no token and no secret into its log`, () => {
    assert.match(notes.logs(), /note added/)
    assert.doesNotMatch(notes.logs(), /X-Amz-Signature|defaultsecret/)
  })

  test(`${name}: answers a diagnosis, also where no handler is reached because connecting fails`, async () => {
    const { payload } = await notes.invoke(readEvent('diagnose.json'))
    const { ok, engine: diagnosed, steps } = payload as DiagnosisReport
    assert.deepEqual([ok, diagnosed], [true, engine])
    assert.deepEqual(
      steps.map(({ name }) => name),
      stepNames,
    )
    assert.match(steps[5]?.finding ?? '', /^the function's role, in the environment: access key defaultkey/)
    const broken = await startSample(stack, folder, { [stack.variables.user]: 'nobody' })
    try {
      const { error: refusal } = await broken.invoke({ action: 'whoami' }, { timeoutMs: 3_000 })
      assert.equal(refusal?.errorType, 'RdsIamError')
      const { error, payload } = await broken.invoke(readEvent('diagnose.json'))
      assert.equal(error, undefined)
      const failed = (payload as DiagnosisReport).steps.find(({ status }) => status === 'failed')
      assert.equal(failed?.name, 'authentication')
      assert.match(failed?.remedy ?? '', /nobody/)
      assert.doesNotMatch(JSON.stringify(payload), /X-Amz-Signature|defaultsecret/)
    } finally {
      await broken.stop()
    }
  })

  test(`${name}: needs nothing beside its bundle: where no package is found, it starts and connects`, async () => {
    const alone = mkdtempSync(join(tmpdir(), 'middy-rds-iam-sample-'))
    cpSync(folder, alone, { recursive: true })
    const copy = await startSample(stack, alone)
    try {
      const { error, payload } = await copy.invoke({ action: 'whoami' })
      assert.equal(error, undefined)
      assert.equal((payload as { user: string }).user, 'notes_app')
      const diagnosis = await copy.invoke({ action: 'diagnose' })
      assert.equal((diagnosis.payload as DiagnosisReport).ok, true)
    } finally {
      await copy.stop()
      rmSync(alone, { recursive: true })
    }
  })
}

allRegistered()
