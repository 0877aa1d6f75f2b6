import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findMysqlKinds } from '../../support/database.ts'
import { holdTests } from '../../support/registration.ts'
import { buildFunctions, master, openCustomResource, type ServerName } from './support.ts'

const allRegistered = holdTests()

const { kinds, missing } = findMysqlKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

/** What somebody writes who did not mean it. */
const wrong: Readonly<Record<string, { readonly postgres: string; readonly mysql: string }>> = {
  'a table that is not there': { postgres: 'SELECT ON ntoes', mysql: 'SELECT ON ntoes' },
  'a column that is not there': { postgres: 'SELECT (txet) ON notes', mysql: 'SELECT (txet) ON notes' },
  'a privilege that is misspelt': { postgres: 'SELCT ON notes', mysql: 'SELCT ON notes' },
  'a privilege of something else': { postgres: 'EXECUTE ON notes', mysql: 'EXECUTE ON notes' },
  'a schema that is not there': { postgres: 'USAGE ON SCHEMA nowhere', mysql: 'SELECT ON nowhere.notes' },
  'a routine that is not there': {
    postgres: 'EXECUTE ON FUNCTION nowhere()',
    mysql: 'EXECUTE ON PROCEDURE nowhere',
  },
  'a role that is not there': { postgres: 'nowhere', mysql: "'nowhere'@'%'" },
  'a privilege that the master user lacks': {
    postgres: 'SELECT ON pg_catalog.pg_authid',
    mysql: 'SUPER ON *.*',
  },
  'a statement of its own': { postgres: 'SELECT ON notes; SELECT 1', mysql: 'SELECT ON notes; SELECT 1' },
  'nothing that is SQL': { postgres: ')(', mysql: ')(' },
  'a recipient': {
    postgres: 'SELECT ON notes TO nobody_there',
    mysql: "SELECT ON notes TO 'x'@'%' IDENTIFIED",
  },
}

const folders = await buildFunctions()
for (const name of ['postgres', ...kinds] as const) await testGrants(name)

async function testGrants(name: ServerName): Promise<void> {
  const { server, resource } = await openCustomResource(name, folders)
  const { engine, query } = server
  const { properties, send } = resource
  const isPostgres = engine === 'postgres'

  const exists = async (user: string) =>
    (
      await query(
        isPostgres
          ? `SELECT 1 FROM pg_roles WHERE rolname = '${user}'`
          : `SELECT 1 FROM mysql.user WHERE user = '${user}'`,
      )
    ).length > 0
  /** All that the user may do, as the server says it. */
  const rights = async (user = 'notes_app', database = 'notes') => {
    if (!isPostgres) {
      const rows = await query(`SHOW GRANTS FOR '${user}'@'%'`)
      return rows.map(row => String(Object.values(row)[0])).sort()
    }
    const rows = await query(
      `SELECT c.relname || ' ' || a.privilege_type AS text FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = '${user}'::regrole
       UNION ALL SELECT c.relname || '.' || t.attname || ' ' || a.privilege_type FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a WHERE a.grantee = '${user}'::regrole
       UNION ALL SELECT 'is ' || roleid::regrole FROM pg_auth_members WHERE member = '${user}'::regrole AND roleid::regrole::text <> 'rds_iam'
       ORDER BY 1`,
      database,
    )
    return rows.map(({ text }) => String(text))
  }
  const markOf = async () =>
    isPostgres
      ? (await query(`SELECT shobj_description('notes_app'::regrole, 'pg_authid') AS text`))[0]?.text
      : (await query(`SELECT mark AS text FROM middy_rds_iam.database_users WHERE name = 'notes_app'`))[0]
          ?.text
  const nobodyIsTried = async () => assert.equal(await exists('middy-rds-trial'), false)

  let id = ''
  let before: string[] = []
  /** As CloudFormation does, which believes that what it asked for before is there. */
  const update = (ResourceProperties: object, OldResourceProperties: object) =>
    send({
      RequestType: 'Update',
      PhysicalResourceId: id,
      ResourceProperties: ResourceProperties as typeof properties,
      OldResourceProperties: OldResourceProperties as typeof properties,
    })

  test(`${name}: a user is there, who may do what is asked for`, async () => {
    const answer = await send({})
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    id = answer.PhysicalResourceId ?? ''
    before = await rights()
    assert.ok(before.length > 0)
  })

  for (const [what, { [engine]: grant }] of Object.entries(wrong)) {
    test(`${name}: a grant with ${what} leaves nothing of a creation`, async () => {
      const ResourceProperties = { ...properties, User: 'failed', Grants: ['SELECT ON notes', grant] }
      const answer = await send({ ResourceProperties })
      assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', 'not-created'], answer.Reason)
      assert.equal(await exists('failed'), false)
      await nobodyIsTried()
      // CloudFormation rolls back.
      const deleted = await send({
        RequestType: 'Delete',
        PhysicalResourceId: 'not-created',
        ResourceProperties,
      })
      assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
    })

    test(`${name}: a grant with ${what} changes nothing in an update, and the rollback succeeds`, async () => {
      const mark = await markOf()
      const asked = { ...properties, Grants: ['UPDATE ON notes', grant] }
      const answer = await update(asked, properties)
      assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id], answer.Reason)
      assert.deepEqual(await rights(), before)
      assert.equal(await markOf(), mark)
      const back = await update(properties, asked)
      assert.deepEqual([back.Status, back.PhysicalResourceId], ['SUCCESS', id], back.Reason)
      assert.deepEqual(await rights(), before)
      await nobodyIsTried()
    })
  }

  test(`${name}: a wrong grant for another user leaves the old one alone, and the rollback succeeds`, async () => {
    const asked = { ...properties, User: 'failed', Grants: ['SELECT ON ntoes'] }
    const answer = await update(asked, properties)
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id])
    assert.equal(await exists('failed'), false)
    const back = await update(properties, asked)
    assert.deepEqual([back.Status, back.PhysicalResourceId], ['SUCCESS', id], back.Reason)
    assert.deepEqual(await rights(), before)
  })

  test(`${name}: a wrong grant in another database leaves the old one alone, and the rollback succeeds`, async () => {
    const asked = { ...properties, Database: 'other', Grants: ['SELECT ON ntoes'] }
    const answer = await update(asked, properties)
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id])
    const back = await update(properties, asked)
    assert.deepEqual([back.Status, back.PhysicalResourceId], ['SUCCESS', id], back.Reason)
    assert.deepEqual(await rights(), before)
  })

  test(`${name}: a wrong statement in the setup changes no grant, and the rollback succeeds`, async () => {
    const asked = { ...properties, Setup: ['CREATE TABLE'], Grants: ['UPDATE ON notes'] }
    const answer = await update(asked, properties)
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id])
    assert.deepEqual(await rights(), before)
    const back = await update(properties, asked)
    assert.deepEqual([back.Status, back.PhysicalResourceId], ['SUCCESS', id], back.Reason)
    assert.deepEqual(await rights(), before)
  })

  test(`${name}: a rollback takes back what an update granted that went well`, async () => {
    const asked = { ...properties, Grants: ['UPDATE, DELETE ON notes'] }
    assert.equal((await update(asked, properties)).Status, 'SUCCESS')
    assert.notDeepEqual(await rights(), before)
    assert.equal((await update(properties, asked)).Status, 'SUCCESS')
    assert.deepEqual(await rights(), before)
  })

  test(`${name}: a rollback after another user was created goes back to the old one`, async () => {
    const asked = { ...properties, User: 'renamed' }
    const answer = await update(asked, properties)
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    const PhysicalResourceId = answer.PhysicalResourceId ?? ''
    const back = await send({ RequestType: 'Update', PhysicalResourceId, OldResourceProperties: asked })
    assert.deepEqual([back.Status, back.PhysicalResourceId], ['SUCCESS', id], back.Reason)
    const deleted = await send({ RequestType: 'Delete', PhysicalResourceId, ResourceProperties: asked })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
    assert.equal(await exists('renamed'), false)
    assert.deepEqual(await rights(), before)
  })

  test(`${name}: what a request says of before is not believed`, async () => {
    const back = await update(properties, { ...properties, Grants: ['SELECT ON notes FROM x', ')('] })
    assert.equal(back.Status, 'SUCCESS', back.Reason)
    assert.deepEqual(await rights(), before)
  })

  test(`${name}: a right that somebody gave by hand stays`, async () => {
    await query(
      isPostgres ? 'GRANT TRIGGER ON notes TO notes_app' : "GRANT TRIGGER ON notes TO 'notes_app'@'%'",
      'notes',
    )
    const asked = { ...properties, Grants: ['SELECT ON notes'] }
    assert.equal((await update(asked, properties)).Status, 'SUCCESS')
    const now = (await rights()).join('\n')
    assert.match(now, /TRIGGER/)
    assert.doesNotMatch(now, /INSERT/)
    assert.equal((await update(properties, asked)).Status, 'SUCCESS')
    await query(
      isPostgres ? 'REVOKE TRIGGER ON notes FROM notes_app' : "REVOKE TRIGGER ON notes FROM 'notes_app'@'%'",
      'notes',
    )
    assert.deepEqual(await rights(), before)
  })

  for (const Grants of [
    ['SELECT ON notes', 'INSERT ON notes'],
    ['INSERT ON notes', 'SELECT, INSERT ON notes'],
    // The master user of MariaDB here has fewer than all.
    ...(name === 'mariadb' ? [] : [['ALL PRIVILEGES ON notes']]),
    ['SELECT, INSERT, UPDATE ON notes', 'SELECT (id), UPDATE (text) ON notes'],
    ...(isPostgres
      ? [['SELECT, INSERT ON ALL TABLES IN SCHEMA public'], ['readers', 'SELECT ON notes']]
      : [
          [`${name === 'mariadb' ? 'SELECT, UPDATE' : 'ALL PRIVILEGES'} ON notes.*`],
          ['SELECT ON notes', 'EXECUTE ON PROCEDURE notes.`a TO b ON c, d`', 'CREATE ON other.*'],
        ]),
  ]) {
    test(`${name}: there and back by ${JSON.stringify(Grants)}`, async () => {
      if (isPostgres && !(await exists('readers')))
        await query(`CREATE ROLE readers; GRANT readers TO ${master} WITH ADMIN OPTION`)
      if (!isPostgres) {
        await query('DROP PROCEDURE IF EXISTS `a TO b ON c, d`', 'notes')
        await query('CREATE PROCEDURE `a TO b ON c, d`() SELECT 1', 'notes')
      }
      const asked = { ...properties, Grants }
      const answer = await update(asked, properties)
      assert.equal(answer.Status, 'SUCCESS', answer.Reason)
      const between = await rights()
      // Twice the same is the same.
      assert.equal((await update(asked, properties)).Status, 'SUCCESS')
      assert.deepEqual(await rights(), between)
      const back = await update(properties, asked)
      assert.equal(back.Status, 'SUCCESS', back.Reason)
      assert.deepEqual(await rights(), before)
    })
  }

  test(`${name}: what is deleted at last is all of it`, async () => {
    const answer = await send({ RequestType: 'Delete', PhysicalResourceId: id })
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.equal(await exists('notes_app'), false)
  })
}

allRegistered()
