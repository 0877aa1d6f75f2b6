import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import pg from 'pg'
import type { Mysql } from '../../kit/src/database/mysql.ts'
import type { Postgres } from '../../kit/src/database/postgres.ts'
import { explain } from '../../src/errors/explain.ts'
import { mysqlFailures } from '../../src/errors/mysql-failures.ts'
import { postgresFailures } from '../../src/errors/postgres-failures.ts'
import { createUserSql, dropUserSql, RdsIamError } from '../../src/index.ts'
import { findNameLimit, hasMembershipOptions } from '../support/capabilities.ts'
import { findMysqlKinds } from '../support/database.ts'
import { startMysql, startPostgres } from '../support/servers.ts'

/** Names that both engines take, and that SQL would come apart over. */
const names = [
  'orders_app',
  'Orders App',
  'select',
  'user',
  'CURRENT_USER',
  '123',
  "o'neil",
  'say "x"',
  'back`tick',
  'back\\slash',
  "\\'; --",
  'a@%',
  "x'@'%",
  '-- no comment',
  '/* nor here',
  'a;b',
  '%s $1 ? :x',
  'two\nlines\ttab',
  'Jürgen',
  '数据库',
]

const injection = '"; DROP TABLE note; --'

/** The lines of the error that is thrown, its first one aside. */
function refusal(call: () => unknown): readonly string[] {
  try {
    call()
  } catch (error) {
    assert.ok(error instanceof RdsIamError, String(error))
    assert.equal(error.code, 'RDS_IAM_OPTIONS')
    const [first = '', ...lines] = error.message.split('\n')
    assert.match(first, /^(createUserSql|dropUserSql): /)
    return lines
  }
  return assert.fail('nothing was thrown')
}

describe('PostgreSQL', async () => {
  const postgres = await startPostgres()
  after(() => postgres.stop())
  await postgres.query('CREATE ROLE rds_iam')
  await postgres.query('CREATE DATABASE orders')
  // As the master user of RDS is: no superuser, but one who makes roles and may grant rds_iam.
  await postgres.query(
    `CREATE ROLE master LOGIN CREATEROLE CREATEDB NOSUPERUSER;
     GRANT CREATE ON DATABASE orders TO master WITH GRANT OPTION; GRANT CREATE ON DATABASE postgres TO master`,
  )
  if (await hasMembershipOptions(postgres.query))
    await postgres.query('GRANT rds_iam TO master WITH ADMIN TRUE, INHERIT FALSE, SET FALSE')
  for (const database of ['postgres', 'orders'])
    await postgres.query('CREATE TABLE note (id int); ALTER TABLE note OWNER TO master', database)

  async function runAsMaster(
    statements: readonly string[],
    database = 'postgres',
    first = '',
  ): Promise<void> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: postgres.port,
      user: 'master',
      database,
      ssl: false,
    })
    await client.connect()
    try {
      if (first !== '') await client.query(first)
      for (const statement of statements) await client.query(statement)
    } finally {
      await client.end()
    }
  }

  async function describeRole(name: string, server: Postgres = postgres) {
    const [role] = await server.query(
      `SELECT rolcanlogin AS login, rolsuper AS super, rolcreaterole AS maker, pg_has_role(oid, 'rds_iam', 'MEMBER') AS iam
       FROM pg_roles WHERE rolname::text = ${pg.escapeLiteral(name)}`,
    )
    return role
  }

  const iamUser = { login: true, super: false, maker: false, iam: true }
  const engine = 'postgres'

  for (const user of [
    ...names,
    injection,
    ' leads and ends ',
    'smile 😀',
    '$do$',
    '$do$ $do_$',
    'x'.repeat(63),
    '数'.repeat(21),
  ]) {
    it(`makes an IAM user of ${JSON.stringify(user)}, again where told so, and drops it`, async () => {
      await runAsMaster(createUserSql({ engine, user, masterUser: 'master' }))
      assert.deepEqual(await describeRole(user), iamUser)
      await assert.rejects(runAsMaster(createUserSql({ engine, user })), { code: '42710' })
      await runAsMaster(createUserSql({ engine, user, ifNotExists: true }))
      const { inEveryDatabase, once } = dropUserSql({ engine, user })
      await runAsMaster([...inEveryDatabase, ...once])
      assert.equal(await describeRole(user), undefined)
      // An older setting has backslashes escape in every text.
      const setting = 'SET standard_conforming_strings = off'
      await runAsMaster(createUserSql({ engine, user, ifNotExists: true }), 'postgres', setting)
      assert.deepEqual(await describeRole(user), iamUser)
      const again = dropUserSql({ engine, user, ifExists: true })
      await runAsMaster([...again.inEveryDatabase, ...again.once], 'postgres', setting)
      assert.equal(await describeRole(user), undefined)
      await runAsMaster([...again.inEveryDatabase, ...again.once])
    })
  }

  it('is what AWS documents', () => {
    assert.deepEqual(createUserSql({ engine, user: 'orders_app' }), [
      'CREATE USER "orders_app";',
      'GRANT rds_iam TO "orders_app";',
    ])
  })

  it('takes away nobody’s password who bears the name already', async () => {
    await postgres.query(`CREATE USER "with password" PASSWORD 'x'`)
    await assert.rejects(runAsMaster(createUserSql({ engine, user: 'with password', ifNotExists: true })), {
      code: '42710',
      message: 'The role "with password" is there and is no IAM user',
    })
    assert.equal((await describeRole('with password'))?.iam, false)
  })

  it('drops a user who owns tables and may read others, in two steps, and loses no table', async () => {
    const user = 'owner of things'
    await runAsMaster(createUserSql({ engine, user }))
    for (const database of ['postgres', 'orders']) {
      await postgres.query(
        `CREATE SCHEMA s AUTHORIZATION "${user}"; CREATE TABLE s.mine (id int); INSERT INTO s.mine VALUES (1);
         ALTER TABLE s.mine OWNER TO "${user}"`,
        database,
      )
      await runAsMaster([`GRANT SELECT ON note TO "${user}"`], database)
    }
    const { inEveryDatabase, once } = dropUserSql({ engine, user })
    await assert.rejects(runAsMaster(once), { code: '2BP01' })
    await runAsMaster(inEveryDatabase, 'postgres')
    await assert.rejects(runAsMaster(once), { code: '2BP01' }, 'the other database still depends on it')
    await runAsMaster(inEveryDatabase, 'orders')
    await runAsMaster(once)
    assert.equal(await describeRole(user), undefined)
    for (const database of ['postgres', 'orders']) {
      const [table] = await postgres.query(
        `SELECT tableowner AS owner, (SELECT count(*)::int FROM s.mine) AS rows FROM pg_tables WHERE tablename = 'mine'`,
        database,
      )
      assert.deepEqual(table, { owner: 'master', rows: 1 })
    }
  })

  it('gives what the user owns to whom it is told', async () => {
    await postgres.query(
      'CREATE ROLE "new owner"; GRANT "new owner" TO master; GRANT CREATE ON SCHEMA public TO "new owner"',
    )
    await runAsMaster(createUserSql({ engine, user: 'leaver' }))
    await postgres.query('CREATE TABLE legacy (id int); ALTER TABLE legacy OWNER TO leaver')
    const { inEveryDatabase, once } = dropUserSql({ engine, user: 'leaver', reassignTo: 'new owner' })
    await runAsMaster([...inEveryDatabase, ...once])
    const [table] = await postgres.query(
      `SELECT tableowner AS owner FROM pg_tables WHERE tablename = 'legacy'`,
    )
    assert.deepEqual(table, { owner: 'new owner' })
  })

  it('never has IAM decide about who runs the SQL', async () => {
    await postgres.query(
      'CREATE ROLE deputy LOGIN; CREATE USER guest; GRANT rds_iam TO guest; GRANT guest TO deputy WITH ADMIN OPTION',
    )
    const isMember = async () => {
      const [row] = await postgres.query(`SELECT pg_has_role('deputy', 'rds_iam', 'MEMBER') AS member`)
      return row?.member
    }
    assert.equal(await isMember(), true, 'a member of a member is one')
    const [revoke = '', ...others] = dropUserSql({ engine, user: 'guest' }).inEveryDatabase
    await postgres.query(revoke)
    for (const statement of others) {
      await postgres.query(`SET ROLE deputy; ${statement}`)
      assert.equal(await isMember(), false, statement)
    }
  })

  it('refuses the names that the server would not keep', async () => {
    const long = 'x'.repeat(64)
    for (const [user, message] of [
      [
        long,
        /^- `user` has 64 bytes in UTF-8, and PostgreSQL cuts a name off after 63; shorten it; got "xxx/,
      ],
      ['数'.repeat(22), /^- `user` has 66 bytes/],
      ['pg_app', /^- `user` begins with "pg_"/],
      ['public', /^- `user` is a word that PostgreSQL takes for no user/],
      ['none', /^- `user` is a word/],
      ['a\0b', /^- `user` has a NUL character/],
      ['\ud83d', /^- `user` is no well-formed text/],
    ] as const) {
      assert.match(refusal(() => createUserSql({ engine, user })).join(), message)
      assert.match(refusal(() => dropUserSql({ engine, user })).join(), message)
    }
    await postgres.query(`CREATE USER "${long}"`)
    assert.equal(await describeRole(long), undefined)
    assert.notEqual(await describeRole('x'.repeat(63)), undefined)
    await postgres.query(`DROP USER "${long}"`)
    for (const user of ['pg_app', 'public', 'none'])
      await assert.rejects(postgres.query(`CREATE USER "${user}"`), { code: '42939' }, user)
  })

  it('leaves every table where it was', async () => {
    for (const database of ['postgres', 'orders'])
      assert.equal((await postgres.query('SELECT FROM note', database)).length, 0)
  })
})

const { kinds, missing } = findMysqlKinds()
if (kinds.length < 2) it('the other MySQL', { skip: missing }, () => {})

for (const kind of kinds) {
  describe(kind, async () => {
    const server = await startMysql({ kind })
    after(() => server.stop())
    await server.query('CREATE DATABASE orders; CREATE TABLE orders.note (id INT)')
    const limit = await findNameLimit(server.query)
    const isOld = limit < 32
    const engine = 'mysql'

    /** No server but those of RDS has the plugin. A server with shorter names has less of a grammar, too. */
    const toLocal = (sql: string): string => {
      const [, guard = '', account, clauses] =
        /^CREATE USER (IF NOT EXISTS )?(.*?)( IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL);$/s.exec(
          sql,
        ) ?? []
      assert.equal(clauses, " IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL", sql)
      return isOld ? `CREATE USER ${account}` : `CREATE USER ${guard}${account} REQUIRE SSL`
    }

    const describeUser = async (user: string) => {
      const [row] = await server.query(
        `SELECT host AS host, ssl_type AS tls FROM mysql.user WHERE BINARY user = X'${Buffer.from(user).toString('hex')}'`,
      )
      return row
    }

    for (const user of [
      ...names,
      injection.slice(0, 16),
      ...(isOld ? [] : ['x'.repeat(32), '数'.repeat(32)]),
    ]) {
      for (const mode of ['', 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES']) {
        it(`makes a user of ${JSON.stringify(user)}, and drops it, in the mode "${mode}"`, async () => {
          const run = (sql: string) => server.query(`SET SESSION sql_mode = '${mode}'; ${sql}`)
          const create = createUserSql({ engine, user, masterUser: 'admin' }).map(toLocal)
          assert.equal(create.length, 1)
          await run(create.join())
          const before = isOld ? { host: '%', tls: '' } : { host: '%', tls: 'ANY' }
          assert.deepEqual(await describeUser(user), before)
          await assert.rejects(run(create.join()), { code: 'ER_CANNOT_USER' })
          if (!isOld) {
            await run(createUserSql({ engine, user, ifNotExists: true }).map(toLocal).join())
            assert.deepEqual(await describeUser(user), before)
          }
          const drop = dropUserSql({ engine, user })
          assert.deepEqual(drop.inEveryDatabase, [])
          await run(drop.once.join(' '))
          assert.equal(await describeUser(user), undefined)
          await assert.rejects(run(drop.once.join(' ')), { code: 'ER_CANNOT_USER' })
          if (!isOld) await run(dropUserSql({ engine, user, ifExists: true }).once.join(' '))
        })
      }
    }

    it('refuses the names that the server would not keep', async () => {
      for (const [user, message] of [
        ['x'.repeat(33), /^- `user` has 33 characters, and MySQL takes 32; shorten it; got "xxx/],
        ['smile 😀', /^- `user` has a character outside the Basic Multilingual Plane/],
        ['ends ', /^- `user` begins or ends with a space, which MySQL cuts off/],
        ['\tleads', /^- `user` begins or ends with a space/],
        ['a\0b', /^- `user` has a NUL character/],
      ] as const) {
        assert.match(refusal(() => createUserSql({ engine, user })).join(), message)
      }
      await keepsNot(server, 'ends ')
      await keepsNot(server, 'smile 😀')
    })

    it('leaves every table where it was', async () => {
      assert.deepEqual(await server.query('SELECT id FROM orders.note'), [])
    })

    /** Refused or changed: in no case is there a user of this name. */
    async function keepsNot({ query }: Mysql, user: string): Promise<void> {
      await query(`CREATE USER '${user}'@'%'`).catch(() => {})
      assert.equal(await describeUser(user), undefined)
    }
  })
}

describe('MySQL and MariaDB', () => {
  it('get what AWS documents, in one statement', () => {
    const user = 'shop_app'
    const clauses = "IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;"
    assert.deepEqual(createUserSql({ engine: 'mysql', user }), [`CREATE USER 'shop_app'@'%' ${clauses}`])
    assert.deepEqual(createUserSql({ engine: 'mysql', user, ifNotExists: true }), [
      `CREATE USER IF NOT EXISTS 'shop_app'@'%' ${clauses}`,
    ])
  })
})

describe('The SQL for users', () => {
  for (const [what, call, message] of [
    [
      'an unknown engine',
      () => createUserSql({ engine: 'oracle', user: 'a' } as never),
      /^- `engine` is neither 'postgres' nor 'mysql'.*; got "oracle"/,
    ],
    [
      'mariadb as engine',
      () => createUserSql({ engine: 'mariadb', user: 'a' } as never),
      /^- `engine` is neither .* MariaDB/,
    ],
    ['no user', () => createUserSql({ engine: 'postgres' } as never), /^- `user` is missing/],
    [
      'an empty user',
      () => createUserSql({ engine: 'mysql', user: '' }),
      /^- `user` is not the name of a database user/,
    ],
    [
      'the master user',
      () => createUserSql({ engine: 'postgres', user: 'postgres', masterUser: 'postgres' }),
      /^- `user` is the master user/,
    ],
    [
      'to drop the master user',
      () => dropUserSql({ engine: 'mysql', user: 'admin', masterUser: 'Admin' }),
      /^- `user` is the master user/,
    ],
    [
      'a role of RDS',
      () => createUserSql({ engine: 'postgres', user: 'rds_iam' }),
      /^- `user` is a name that RDS or the engine has for itself/,
    ],
    [
      'a user of MySQL',
      () => dropUserSql({ engine: 'mysql', user: 'mysql.sys' }),
      /^- `user` is a name that RDS or the engine/,
    ],
    [
      'a new owner in MySQL',
      () => dropUserSql({ engine: 'mysql', user: 'a', reassignTo: 'b' }),
      /^- `reassignTo` is PostgreSQL's/,
    ],
    [
      'the dropped user as new owner',
      () => dropUserSql({ engine: 'postgres', user: 'a', reassignTo: 'a' }),
      /^- `reassignTo` is the user that is to be dropped/,
    ],
    [
      'a new owner that is no name',
      () => dropUserSql({ engine: 'postgres', user: 'a', reassignTo: '' }),
      /^- `reassignTo` is not the name/,
    ],
    [
      'a master user that is no name',
      () => createUserSql({ engine: 'postgres', user: 'a', masterUser: '' }),
      /^- `masterUser` is not the name/,
    ],
    [
      'yes for true',
      () => createUserSql({ engine: 'postgres', user: 'a', ifNotExists: 'yes' } as never),
      /^- `ifNotExists` is neither true nor false/,
    ],
    [
      'an option of the other',
      () => createUserSql({ engine: 'postgres', user: 'a', ifExists: true } as never),
      /^- `ifExists` is not an option/,
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      const lines = refusal(call)
      assert.equal(lines.length, 1, lines.join('\n'))
      assert.match(lines[0] ?? '', message)
    })
  }

  it('names every problem at once', () => {
    assert.equal(
      refusal(() => createUserSql({ engine: 'oracle', user: 'a\0', masterUser: '', x: 1 } as never)).length,
      4,
    )
    assert.equal(refusal(() => dropUserSql(undefined as never)).length, 2)
  })

  it('is what the error of a user that is not an IAM user says', () => {
    const target = {
      host: 'h',
      port: 1,
      database: 'd',
      region: 'eu-west-1',
      endpoint: { host: 'h', port: 1 },
    }
    for (const [engine, failures, cause] of [
      [
        'postgres',
        postgresFailures,
        Object.assign(new Error('password authentication failed for user'), { code: '28P01' }),
      ],
      [
        'mysql',
        mysqlFailures,
        Object.assign(new Error('using password: NO'), { code: 'ER_ACCESS_DENIED_ERROR' }),
      ],
    ] as const) {
      for (const user of ['app', `o'n"e\\il`]) {
        const { code, message } = explain(cause, { ...target, user, failures })
        assert.equal(code, 'RDS_IAM_NOT_GRANTED')
        assert.ok(message.includes(`\`${createUserSql({ engine, user }).join(' ')}\``), message)
      }
    }
  })
})
