import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../../../kit/src/index.ts'
import { startFunction } from '../../../local/function-process.ts'
import { buildSample, standInIdentity } from '../../../local/stack.ts'
import { findNameLimit } from '../../support/capabilities.ts'
import { findMysqlKinds } from '../../support/database.ts'
import { holdTests } from '../../support/registration.ts'
import { signature } from './aws.ts'
import {
  buildFunctions,
  master,
  openCustomResource,
  password,
  type ServerName,
  stackId,
  startCustomResource,
} from './support.ts'

const allRegistered = holdTests()

const { kinds, missing } = findMysqlKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const folders = await buildFunctions()
for (const name of ['postgres', ...kinds] as const) await testLife(name)

async function testLife(name: ServerName): Promise<void> {
  const { server, resource } = await openCustomResource(name, folders)
  const { engine, query } = server
  const { properties, send, front, aws } = resource
  const isPostgres = engine === 'postgres'
  const nameLimit = isPostgres ? 63 : await findNameLimit(query)

  /** Whether there is a user. */
  const exists = async (user: string) => {
    const text = `'${user.replaceAll("'", "''")}'`
    const sql = isPostgres
      ? `SELECT 1 FROM pg_roles WHERE rolname = ${text}`
      : `SELECT 1 FROM mysql.user WHERE user = ${text}`
    return (await query(sql)).length > 0
  }
  /** What a user may do with tables, `notes.notes SELECT` for example. */
  const rights = async (user: string, database = 'notes') => {
    const rows = await query(
      `SELECT table_name AS name, privilege_type AS kind FROM information_schema.table_privileges
        WHERE grantee IN ('${user}', '''${user}''@''%''') AND '${database}' IN (table_schema, ${isPostgres ? `current_database()` : `''`})
        ORDER BY 1, 2`,
      database,
    )
    return rows.map(({ name, kind }) => `${name} ${kind}`)
  }
  /** What is kept beside a user. */
  const markOf = async (user: string) =>
    isPostgres
      ? (await query(`SELECT shobj_description('${user}'::regrole, 'pg_authid') AS text`))[0]?.text
      : (await query(`SELECT mark AS text FROM middy_rds_iam.database_users WHERE name = '${user}'`))[0]?.text
  const countNotes = async () =>
    Number((await query('SELECT count(*) AS count FROM notes', 'notes'))[0]?.count)

  let id = ''

  test(`${name}: a creation makes the user, the table and the grants, and no more`, async () => {
    const answer = await send({})
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    id = answer.PhysicalResourceId ?? ''
    assert.equal(id, `${engine}://localhost:${front.port}/notes/notes_app`)
    assert.deepEqual(
      [answer.StackId, answer.RequestId, answer.LogicalResourceId],
      [stackId, 'request-1', 'NotesUser'],
    )
    assert.deepEqual(await rights('notes_app'), ['notes INSERT', 'notes SELECT'])
    assert.deepEqual(JSON.parse(String(await markOf('notes_app'))), {
      madeBy: 'middy-rds-iam',
      stack: stackId,
      resource: 'NotesUser',
      id,
      database: 'notes',
      granted: {
        notes: isPostgres
          ? ['SELECT, INSERT ON notes']
          : ['SELECT ON `notes`.`notes`', 'INSERT ON `notes`.`notes`'],
      },
    })
    if (isPostgres) {
      const [row] = await query("SELECT pg_has_role('notes_app', 'rds_iam', 'USAGE') AS is_iam")
      assert.equal(row?.is_iam, true)
    } else {
      const create =
        "CREATE USER 'notes_app'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;"
      assert.equal(front.statements.filter(sql => sql === create).length, 1)
    }
  })

  test(`${name}: the same creation again has the same outcome`, async () => {
    const answer = await send({})
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['SUCCESS', id], answer.Reason)
    assert.deepEqual(await rights('notes_app'), ['notes INSERT', 'notes SELECT'])
  })

  test(`${name}: the same creation twice at once has the same outcome`, async t => {
    const other = await startCustomResource(server, folders)
    t.after(() => other.close())
    const twin = { ...properties, User: 'twin' }
    const answers = await Promise.all([
      send({ ResourceProperties: twin }),
      other.send({ ResourceProperties: { ...twin, Port: String(other.front.port) } }),
    ])
    assert.deepEqual(
      answers.map(({ Status }) => Status),
      ['SUCCESS', 'SUCCESS'],
    )
    assert.deepEqual(await rights('twin'), ['notes INSERT', 'notes SELECT'])
    // The one that came last has the user.
    const last = JSON.parse(String(await markOf('twin'))).id
    const lastResource = last.includes(`:${front.port}/`) ? resource : other
    await lastResource.send({ RequestType: 'Delete', PhysicalResourceId: last })
    assert.equal(await exists('twin'), false)
  })

  test(`${name}: the user connects through the gateway with the rights of the sample, and nothing more`, async t => {
    const folder = await buildSample(engine)
    const gateway = await startGateway({
      engine,
      upstream: { port: server.port },
      region: standInIdentity.AWS_REGION,
      users: ['notes_app'],
    })
    t.after(() => gateway.close())
    const at = isPostgres
      ? { PGHOST: 'localhost', PGPORT: String(gateway.port), PGUSER: 'notes_app', PGDATABASE: 'notes' }
      : {
          MYSQL_HOST: 'localhost',
          MYSQL_TCP_PORT: String(gateway.port),
          MYSQL_USER: 'notes_app',
          MYSQL_DATABASE: 'notes',
        }
    const notes = await startFunction({
      name: 'notes',
      folder,
      handler: `notes-${engine}.handler`,
      timeoutMs: 15_000,
      environment: { ...standInIdentity, ...at, DATABASE_CA: gateway.ca },
    })
    t.after(() => notes.stop())
    const added = await notes.invoke({ action: 'add', text: 'hello' })
    assert.equal(added.error, undefined)
    const listed = await notes.invoke({ action: 'list' })
    assert.equal((listed.payload as unknown[]).length, 1)
    const who = await notes.invoke({ action: 'whoami' })
    assert.equal((who.payload as { user: string }).user, 'notes_app')
    if (isPostgres) {
      const [row] = await query(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS is_more FROM pg_roles WHERE rolname = 'notes_app'",
      )
      assert.equal(row?.is_more, false)
    } else {
      const grants = await query("SHOW GRANTS FOR 'notes_app'@'%'")
      // Each server quotes accounts in its own way.
      assert.deepEqual(grants.map(row => String(Object.values(row)[0]).replaceAll("'", '`')).sort(), [
        'GRANT SELECT, INSERT ON `notes`.`notes` TO `notes_app`@`%`',
        'GRANT USAGE ON *.* TO `notes_app`@`%`',
      ])
    }
  })

  test(`${name}: an update grants what is new and revokes what is no longer listed`, async () => {
    const changed = { ...properties, Grants: ['UPDATE ON notes', 'SELECT ON notes'] }
    const answer = await send({
      RequestType: 'Update',
      PhysicalResourceId: id,
      ResourceProperties: changed,
      OldResourceProperties: properties,
    })
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['SUCCESS', id], answer.Reason)
    assert.deepEqual(await rights('notes_app'), ['notes SELECT', 'notes UPDATE'])
    const back = await send({
      RequestType: 'Update',
      PhysicalResourceId: id,
      ResourceProperties: properties,
      OldResourceProperties: changed,
    })
    assert.equal(back.Status, 'SUCCESS', back.Reason)
    assert.deepEqual(await rights('notes_app'), ['notes INSERT', 'notes SELECT'])
  })

  test(`${name}: an update goes on where what was granted is gone`, async () => {
    await query('CREATE TABLE gone (id integer)', 'notes')
    const more = { ...properties, Grants: ['SELECT, INSERT ON notes', 'SELECT ON gone'] }
    const update = { RequestType: 'Update', PhysicalResourceId: id } as const
    if (isPostgres) await query(`ALTER TABLE gone OWNER TO ${master}`, 'notes')
    const first = await send({ ...update, ResourceProperties: more, OldResourceProperties: properties })
    assert.equal(first.Status, 'SUCCESS', first.Reason)
    assert.ok((await rights('notes_app')).includes('gone SELECT'))
    await query('DROP TABLE gone', 'notes')
    const second = await send({ ...update, ResourceProperties: properties, OldResourceProperties: more })
    assert.equal(second.Status, 'SUCCESS', second.Reason)
    assert.deepEqual(await rights('notes_app'), ['notes INSERT', 'notes SELECT'])
  })

  test(`${name}: an update that fails keeps its physical ID and the user`, async () => {
    const wrong = { ...properties, Grants: ['SELECT ON nowhere'] }
    const answer = await send({
      RequestType: 'Update',
      PhysicalResourceId: id,
      ResourceProperties: wrong,
      OldResourceProperties: properties,
    })
    assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', id])
    assert.match(answer.Reason, /nowhere/)
    // CloudFormation then rolls back.
    const back = await send({
      RequestType: 'Update',
      PhysicalResourceId: id,
      ResourceProperties: properties,
      OldResourceProperties: wrong,
    })
    assert.equal(back.Status, 'SUCCESS', back.Reason)
    assert.deepEqual(await rights('notes_app'), ['notes INSERT', 'notes SELECT'])
  })

  test(`${name}: another user has another physical ID, and deleting the old one drops the old user alone`, async () => {
    const renamed = { ...properties, User: 'notes_app2' }
    const answer = await send({
      RequestType: 'Update',
      PhysicalResourceId: id,
      ResourceProperties: renamed,
      OldResourceProperties: properties,
    })
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.notEqual(answer.PhysicalResourceId, id)
    assert.deepEqual([await exists('notes_app'), await exists('notes_app2')], [true, true])
    const deleted = await send({ RequestType: 'Delete', PhysicalResourceId: id })
    assert.deepEqual([deleted.Status, deleted.PhysicalResourceId], ['SUCCESS', id], deleted.Reason)
    assert.deepEqual([await exists('notes_app'), await exists('notes_app2')], [false, true])
    assert.deepEqual(await rights('notes_app2'), ['notes INSERT', 'notes SELECT'])
    await send({
      RequestType: 'Delete',
      PhysicalResourceId: answer.PhysicalResourceId ?? '',
      ResourceProperties: renamed,
    })
    assert.equal(await exists('notes_app2'), false)
    assert.equal(await countNotes(), 1)
  })

  test(`${name}: the same user in another database of the server survives the deletion of the old physical ID`, async () => {
    const created = await send({})
    const moved = { ...properties, Database: 'other' }
    const answer = await send({
      RequestType: 'Update',
      PhysicalResourceId: created.PhysicalResourceId ?? '',
      ResourceProperties: moved,
      OldResourceProperties: properties,
    })
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.notEqual(answer.PhysicalResourceId, created.PhysicalResourceId)
    const deleted = await send({
      RequestType: 'Delete',
      PhysicalResourceId: created.PhysicalResourceId ?? '',
    })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
    assert.deepEqual(await rights('notes_app'), [])
    assert.deepEqual(await rights('notes_app', 'other'), ['notes INSERT', 'notes SELECT'])
    const dropped = await send({
      RequestType: 'Delete',
      PhysicalResourceId: answer.PhysicalResourceId ?? '',
      ResourceProperties: moved,
    })
    assert.equal(dropped.Status, 'SUCCESS', dropped.Reason)
    assert.equal(await exists('notes_app'), false)
  })

  test(`${name}: the same user under another name of the server keeps its rights when the old physical ID is deleted`, async t => {
    const created = await send({})
    const other = await startCustomResource(server, folders)
    t.after(() => other.close())
    const renamed = { ...properties, Port: String(other.front.port) }
    const answer = await other.send({
      RequestType: 'Update',
      PhysicalResourceId: created.PhysicalResourceId ?? '',
      ResourceProperties: renamed,
      OldResourceProperties: properties,
    })
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    // The function knows the new name alone by now.
    const deleted = await other.send({
      RequestType: 'Delete',
      PhysicalResourceId: created.PhysicalResourceId ?? '',
    })
    assert.equal(deleted.Status, 'FAILED')
    assert.match(deleted.Reason, /^The stack's server is localhost:\d+ now.*Not dropped: .*"notes_app"/)
    assert.deepEqual(await rights('notes_app'), ['notes INSERT', 'notes SELECT'])
    await other.send({
      RequestType: 'Delete',
      PhysicalResourceId: answer.PhysicalResourceId ?? '',
      ResourceProperties: renamed,
    })
    assert.equal(await exists('notes_app'), false)
  })

  test(`${name}: a deletion drops the user with all its rights and leaves its tables, and once more is fine`, async () => {
    await send({
      ResourceProperties: {
        ...properties,
        Grants: ['SELECT, INSERT ON notes', `CREATE ON ${isPostgres ? 'SCHEMA public' : 'notes.*'}`],
      },
    })
    if (isPostgres) {
      await query('SET ROLE notes_app; CREATE TABLE own (id integer); INSERT INTO own VALUES (1)', 'notes')
      // By hand, where the resource has granted nothing.
      await query('CREATE TABLE elsewhere (id integer)', 'other')
      await query(`ALTER TABLE elsewhere OWNER TO ${master}`, 'other')
      await query(`SET ROLE ${master}; GRANT SELECT ON elsewhere TO notes_app`, 'other')
    }
    const deletion = { RequestType: 'Delete', PhysicalResourceId: id } as const
    const answer = await send(deletion)
    assert.equal(answer.Status, 'SUCCESS', answer.Reason)
    assert.equal(await exists('notes_app'), false)
    assert.equal(await countNotes(), 1)
    if (isPostgres) {
      const [row] = await query("SELECT tableowner AS owner FROM pg_tables WHERE tablename = 'own'", 'notes')
      assert.equal(row?.owner, master)
      await query('DROP TABLE own', 'notes')
    } else {
      assert.equal(await markOf('notes_app'), undefined)
    }
    const again = await send(deletion)
    assert.deepEqual([again.Status, again.PhysicalResourceId], ['SUCCESS', id], again.Reason)
  })

  for (const [title, changes] of [
    ['a grant', { Grants: ['SELECT, INSERT ON notes', 'SELECT ON nowhere'] }],
    ['the setup', { Setup: ['CREATE TABLE'] }],
    ['a second statement in the setup', { Setup: ['SELECT 1; SELECT 2'] }],
    [
      'a second statement in a grant',
      { Grants: ['SELECT ON notes TO public; SELECT 2; GRANT SELECT ON notes'] },
    ],
  ] as const) {
    test(`${name}: a creation that fails in ${title} leaves no user, and its deletion does nothing`, async () => {
      const wrong = { ...properties, User: 'failed', ...changes }
      const answer = await send({ ResourceProperties: wrong })
      assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', 'not-created'], answer.Reason)
      assert.equal(await exists('failed'), false)
      const asked = resource.tasks.length
      const deleted = await send({
        RequestType: 'Delete',
        PhysicalResourceId: 'not-created',
        ResourceProperties: wrong,
      })
      assert.deepEqual([deleted.Status, deleted.PhysicalResourceId], ['SUCCESS', 'not-created'])
      assert.equal(resource.tasks.length, asked)
      if (!isPostgres) assert.equal(await markOf('failed'), undefined)
    })
  }

  for (const [title, mark] of [
    ['without a mark', undefined],
    ['with a comment of its own', 'the analyst'],
    [
      'of another stack',
      JSON.stringify({
        madeBy: 'middy-rds-iam',
        stack: `${stackId}9`,
        resource: 'NotesUser',
        id: 'x',
        database: 'notes',
      }),
    ],
    [
      'of another resource of the stack',
      JSON.stringify({
        madeBy: 'middy-rds-iam',
        stack: stackId,
        resource: 'Other',
        id: 'x',
        database: 'notes',
      }),
    ],
  ] as const) {
    test(`${name}: a user that is there ${title} is refused, and no deletion drops it`, async () => {
      const text = `'${mark?.replaceAll("'", "''")}'`
      if (isPostgres) {
        await query('CREATE USER analyst')
        if (mark !== undefined) await query(`COMMENT ON ROLE analyst IS ${text}`)
      } else {
        await query("CREATE USER 'analyst'@'%'")
        if (mark !== undefined)
          await query(`REPLACE INTO middy_rds_iam.database_users VALUES ('analyst', ${text})`)
      }
      const foreign = { ...properties, User: 'analyst' }
      const answer = await send({ ResourceProperties: foreign })
      assert.deepEqual([answer.Status, answer.PhysicalResourceId], ['FAILED', 'not-created'])
      assert.match(answer.Reason, /"analyst" is there already, and NotesUser of this stack did not make it/)
      assert.deepEqual(await rights('analyst'), [])
      const deleted = await send({
        RequestType: 'Delete',
        PhysicalResourceId: `${engine}://localhost:${front.port}/notes/analyst`,
        ResourceProperties: foreign,
      })
      assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
      assert.match(deleted.Reason, /^Left .* alone/)
      assert.equal(await exists('analyst'), true)
      await query(isPostgres ? 'DROP USER analyst' : "DROP USER 'analyst'@'%'")
      if (!isPostgres) await query("DELETE FROM middy_rds_iam.database_users WHERE name = 'analyst'")
    })
  }

  if (!isPostgres) {
    test(`${name}: a user of the same name who comes from elsewhere is refused, and no deletion drops it`, async () => {
      await query("CREATE USER 'analyst'@'10.0.0.1'")
      const foreign = { ...properties, User: 'analyst' }
      const answer = await send({ ResourceProperties: foreign })
      assert.match(answer.Reason, /"analyst" is there already/)
      const sameId = { PhysicalResourceId: `mysql://localhost:${front.port}/notes/analyst` }
      await send({ RequestType: 'Delete', ...sameId, ResourceProperties: foreign })
      const rows = await query("SELECT host AS host FROM mysql.user WHERE user = 'analyst'")
      assert.deepEqual(
        rows.map(({ host }) => host),
        ['10.0.0.1'],
      )
      await query("DROP USER 'analyst'@'10.0.0.1'")
    })
  }

  for (const user of [`o'hara "the" \`app\``, 'back\\slash', 'SELECT', 'Ünïcode', '%', 'a --x', 'x; DROP']) {
    const skip = user.length > nameLimit && `this server takes ${nameLimit} characters`
    test(`${name}: creates and drops a user called ${user}`, { skip }, async () => {
      const quoted = { ...properties, User: user }
      const answer = await send({ ResourceProperties: quoted })
      assert.equal(answer.Status, 'SUCCESS', answer.Reason)
      assert.equal(await exists(user.replaceAll('\\', isPostgres ? '\\' : '\\\\')), true)
      const deleted = await send({
        RequestType: 'Delete',
        PhysicalResourceId: answer.PhysicalResourceId ?? '',
        ResourceProperties: quoted,
      })
      assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
      assert.equal(await exists(user.replaceAll('\\', isPostgres ? '\\' : '\\\\')), false)
    })
  }

  test(`${name}: no password and no signature is in any log, reason or answer`, () => {
    const all = [resource.logs(), ...aws.answers.map(({ text }) => text), ...front.statements].join('\n')
    assert.match(all, /request settled/)
    assert.match(all, /task done/)
    for (const secret of [password, JSON.stringify(password).slice(1, -1), signature]) {
      assert.ok(!all.includes(secret))
    }
  })
}

allRegistered()
