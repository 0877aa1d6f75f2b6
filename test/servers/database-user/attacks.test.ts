import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { findMysqlKinds } from '../../support/database.ts'
import { holdTests } from '../../support/registration.ts'
import {
  buildFunctions,
  type MasterServer,
  master,
  startCustomResource,
  startMasterServer,
} from './support.ts'

const allRegistered = holdTests()

const { kinds, missing } = findMysqlKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const folders = await buildFunctions()

/** Somebody who may log in, and wants to be the master user. */
const mallory = 'mallory'

await testPostgres()
for (const kind of kinds) await testMysql(kind)

/** What every planted thing does, whoever it is that runs it: it notes who that is. */
async function prepare(server: MasterServer) {
  const resource = await startCustomResource(server, folders)
  after(async () => {
    await resource.close()
    await server.stop()
  })
  const { send, properties } = resource
  /** A whole life of the resource, with everything planted by then. */
  const live = async () => {
    const created = await send({})
    assert.equal(created.Status, 'SUCCESS', created.Reason)
    const id = { PhysicalResourceId: created.PhysicalResourceId ?? '' }
    const changed = { ...properties, Grants: ['SELECT ON notes'] }
    for (const [ResourceProperties, OldResourceProperties] of [
      [changed, properties],
      [properties, changed],
    ] as const) {
      const updated = await send({ RequestType: 'Update', ...id, ResourceProperties, OldResourceProperties })
      assert.equal(updated.Status, 'SUCCESS', updated.Reason)
    }
    const deleted = await send({ RequestType: 'Delete', ...id })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
  }
  return { resource, live }
}

async function testPostgres(): Promise<void> {
  const server = await startMasterServer('postgres')
  const { resource, live } = await prepare(server)
  const { query } = server

  await query(`CREATE ROLE ${mallory} LOGIN`)
  const asMallory = async (sql: string) => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: server.port,
      user: mallory,
      database: 'notes',
      ssl: false,
    })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  /** Where the master user's session could look: in `public`, in `"$user"`, in what a setting names. */
  const schemas = ['public', master, 'elsewhere']
  /** Puts everything back; whoever runs `seen()` is counted, also where the transaction fails. */
  const reset = async () => {
    await query(`DROP OWNED BY ${mallory} CASCADE`, 'notes')
    // As in every database up to PostgreSQL 14, and in those that were upgraded from there.
    await query(
      `GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC; GRANT CREATE, TEMPORARY ON DATABASE notes TO ${mallory}`,
      'notes',
    )
    await asMallory(`
      ${schemas
        .slice(1)
        .map(schema => `CREATE SCHEMA "${schema}"; GRANT ALL ON SCHEMA "${schema}" TO PUBLIC;`)
        .join('\n')}
      CREATE SEQUENCE public.victims;
      GRANT USAGE ON public.victims TO PUBLIC;
      CREATE FUNCTION public.seen() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN
        IF current_user::pg_catalog.text OPERATOR(pg_catalog.=) '${master}'::pg_catalog.text THEN
          PERFORM pg_catalog.nextval('public.victims'::pg_catalog.regclass);
        END IF;
        RETURN 1;
      END $$`)
  }
  const assertNobodySeen = async () => {
    const [row] = await query('SELECT is_called FROM public.victims', 'notes')
    assert.equal(row?.is_called, false, 'the master user has run what somebody planted')
  }

  const plants: Readonly<Record<string, (schema: string) => string>> = {
    'functions that match better': schema => `
      CREATE FUNCTION "${schema}".pg_advisory_xact_lock(integer) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); END $$`,
    'functions of the same name': schema => `
      CREATE FUNCTION "${schema}".pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); END $$;
      CREATE FUNCTION "${schema}".hashtext(text) RETURNS integer LANGUAGE sql AS 'SELECT public.seen()';
      CREATE FUNCTION "${schema}".hashtext(unknown_is varchar) RETURNS integer LANGUAGE sql AS 'SELECT public.seen()';
      CREATE FUNCTION "${schema}".current_database() RETURNS name LANGUAGE sql AS $$ SELECT public.seen()::text::name $$;
      CREATE FUNCTION "${schema}".set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT public.seen()::text';
      CREATE FUNCTION "${schema}".set_config(name, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT public.seen()::text';
      CREATE FUNCTION "${schema}".now(integer DEFAULT 1) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); RETURN clock_timestamp(); END $$;
      CREATE FUNCTION "${schema}".shobj_description(oid, text) RETURNS text LANGUAGE sql AS 'SELECT public.seen()::text'`,
    operators: schema => `
      CREATE FUNCTION "${schema}".evil(name, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); RETURN true; END $$;
      CREATE FUNCTION "${schema}".evil(name, name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); RETURN true; END $$;
      CREATE FUNCTION "${schema}".evil(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); RETURN true; END $$;
      CREATE FUNCTION "${schema}".evil(oid, regclass) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); RETURN true; END $$;
      ${['=', '<>']
        .flatMap(operator =>
          ['name, text', 'name, name', 'oid, oid', 'oid, regclass'].map(types => {
            const [left, right] = types.split(', ')
            return `CREATE OPERATOR "${schema}".${operator} (FUNCTION = "${schema}".evil, LEFTARG = ${left}, RIGHTARG = ${right})`
          }),
        )
        .join(';\n')}`,
    'types, domains and casts': schema => `
      CREATE FUNCTION "${schema}".checked(text) RETURNS boolean LANGUAGE sql AS 'SELECT public.seen() = 1';
      CREATE DOMAIN "${schema}".integer AS pg_catalog.int4 DEFAULT public.seen();
      CREATE DOMAIN "${schema}".text AS pg_catalog.text CHECK ("${schema}".checked(VALUE));
      CREATE DOMAIN "${schema}".regclass AS pg_catalog.text CHECK ("${schema}".checked(VALUE));
      CREATE TYPE "${schema}".casted AS (a int);
      CREATE FUNCTION "${schema}".to_text("${schema}".casted) RETURNS pg_catalog.text LANGUAGE sql AS 'SELECT public.seen()::pg_catalog.text';
      CREATE CAST ("${schema}".casted AS pg_catalog.text) WITH FUNCTION "${schema}".to_text("${schema}".casted) AS IMPLICIT`,
    'tables and views named as catalogues': schema => `
      CREATE VIEW "${schema}".pg_roles AS SELECT public.seen()::oid AS oid, 'notes_app'::name AS rolname;
      CREATE VIEW "${schema}".pg_database AS SELECT public.seen()::oid AS oid, 'notes'::name AS datname;
      CREATE VIEW "${schema}".pg_shdepend AS SELECT public.seen()::oid AS dbid;
      CREATE VIEW "${schema}".pg_settings AS SELECT public.seen()::text AS name;
      CREATE TABLE "${schema}".pg_authid (id integer DEFAULT public.seen())`,
  }
  for (const [what, plant] of Object.entries(plants)) {
    test(`postgres: nobody becomes the master user by ${what}`, async () => {
      await reset()
      let planted = 0
      for (const schema of schemas) {
        // One after the other: where one cannot be planted, the others still are.
        for (const sql of plant(schema).split(/;\n/)) {
          await asMallory(sql).then(
            () => {
              planted += 1
            },
            error => assert.match(String(error.code), /^42/),
          )
        }
      }
      assert.ok(planted >= schemas.length)
      const ended = live()
      await ended.catch(() => {})
      await assertNobodySeen()
      await ended
    })
  }

  test('postgres: nobody becomes the master user by temporary objects, which a setup may make', async () => {
    await reset()
    const Setup = [
      ...(resource.properties.Setup as string[]),
      "CREATE TEMPORARY VIEW pg_roles AS SELECT public.seen()::oid AS oid, 'notes_app'::name AS rolname",
      'CREATE TEMPORARY TABLE notes (id integer DEFAULT public.seen())',
    ]
    const created = await resource.send({ ResourceProperties: { ...resource.properties, Setup } })
    await assertNobodySeen()
    assert.equal(created.Status, 'SUCCESS', created.Reason)
    const granted = await query(
      "SELECT has_table_privilege('notes_app', 'public.notes', 'INSERT') AS may",
      'notes',
    )
    assert.deepEqual(granted, [{ may: true }])
    await resource.send({ RequestType: 'Delete', PhysicalResourceId: created.PhysicalResourceId ?? '' })
  })

  test('postgres: nobody but a superuser, whom RDS gives to nobody, makes an event trigger', async () => {
    await reset()
    await asMallory(
      'CREATE FUNCTION public.on_event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); END $$',
    )
    const plant = 'CREATE EVENT TRIGGER spring ON ddl_command_start EXECUTE FUNCTION public.on_event()'
    await assert.rejects(asMallory(plant), { code: '42501' })
    await live()
    await assertNobodySeen()
  })

  const settings = {
    'the search path': [
      'DATABASE notes SET search_path = elsewhere, public, pg_catalog',
      `ROLE ${master} IN DATABASE notes SET search_path = elsewhere, pg_temp, public, pg_catalog`,
    ],
    'other settings': [
      'DATABASE notes SET default_transaction_read_only = on',
      "DATABASE notes SET default_transaction_isolation = 'serializable'",
      'DATABASE notes SET standard_conforming_strings = off',
      'DATABASE notes SET transform_null_equals = on',
      "DATABASE notes SET lock_timeout = '1ms'",
    ],
  }
  for (const [what, changes] of Object.entries(settings)) {
    test(`postgres: nobody becomes the master user by ${what} of the database or of a role`, async () => {
      await reset()
      for (const plant of Object.values(plants))
        for (const sql of plant('elsewhere').split(/;\n/)) await asMallory(sql).catch(() => {})
      for (const change of changes) await query(`ALTER ${change}`)
      try {
        const ended = live()
        await ended.catch(() => {})
        await assertNobodySeen()
        await ended
      } finally {
        await query('ALTER DATABASE notes RESET ALL')
        await query(`ALTER ROLE ${master} IN DATABASE notes RESET ALL`)
      }
    })
  }

  test("postgres: the application's own user does not become the master user, not even by what it leaves behind", async () => {
    await reset()
    const created = await resource.send({})
    await query(
      `CREATE TABLE public.secret (text text); ALTER TABLE public.secret OWNER TO ${master}`,
      'notes',
    )
    await query(
      `SET ROLE notes_app;
       CREATE FUNCTION public.left_behind() RETURNS name LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user';
       CREATE PROCEDURE public.left_too() LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM public.seen(); END $$;
       CREATE VIEW public.window AS SELECT * FROM public.secret; GRANT ALL ON public.window TO PUBLIC;
       CREATE TABLE public.trap (text text); GRANT ALL ON public.trap TO PUBLIC;
       CREATE FUNCTION public.fixed(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); RETURN $1; END $$;
       CREATE INDEX later ON public.trap (public.fixed(text)); CREATE INDEX plain ON public.trap (lower(text));
       INSERT INTO public.trap VALUES ('x');
       CREATE RULE spring AS ON INSERT TO public.trap DO ALSO INSERT INTO public.secret VALUES (NEW.text)`,
      'notes',
    )
    const deleted = await resource.send({
      RequestType: 'Delete',
      PhysicalResourceId: created.PhysicalResourceId ?? '',
    })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
    const run = (sql: string) => asMallory(sql)
    const denied = { code: '42501' }
    await run(
      `DO $$ BEGIN IF public.left_behind() <> '${mallory}' THEN RAISE 'is %', public.left_behind(); END IF; END $$`,
    )
    await run('CALL public.left_too()')
    await query(`SET ROLE ${master}; ANALYZE public.trap`, 'notes')
    await assertNobodySeen()
    const indexes = await query(
      "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = 'public.trap'::regclass",
      'notes',
    )
    assert.deepEqual(indexes, [{ name: 'plain' }])
    await assert.rejects(run('SELECT * FROM public.window'), denied)
    await assert.rejects(run(`INSERT INTO public.trap VALUES ('x')`), denied)
  })

  test('postgres: nobody becomes the master user by types that a dropped user has left behind', async () => {
    await reset()
    const created = await resource.send({})
    await query(
      `SET ROLE notes_app;
       CREATE FUNCTION public.is_fine(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); RETURN true; END $$;
       CREATE DOMAIN public.fine AS text CHECK (public.is_fine(VALUE));
       CREATE FUNCTION public.distance(integer, integer) RETURNS double precision IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.seen(); RETURN 1; END $$;
       CREATE TYPE public.span AS RANGE (subtype = integer, subtype_diff = public.distance);
       CREATE DOMAIN public.wide AS public.span;
       CREATE TABLE public.typed (text text, "a Span" public.span, b public.wide, c int4range);
       INSERT INTO public.typed SELECT i::text, public.span(i, i + 1), public.span(i, i + 1), int4range(i, i + 1) FROM generate_series(1, 9) i;
       CREATE INDEX typed_cast ON public.typed ((text::public.fine)); CREATE INDEX typed_computed ON public.typed ((coalesce("a Span", b)));
       ALTER TABLE public.typed ADD CONSTRAINT typed_only EXCLUDE USING btree ((text::public.fine) WITH =);
       DO $$ BEGIN EXECUTE 'CREATE STATISTICS typed_both ON (coalesce("a Span", b)), text FROM public.typed';
         -- PostgreSQL before 14 has none of expressions.
         EXCEPTION WHEN syntax_error OR feature_not_supported THEN NULL; END $$;
       CREATE TABLE public.parts (text text) PARTITION BY LIST (text); CREATE TABLE public.part PARTITION OF public.parts DEFAULT;
       INSERT INTO public.parts VALUES ('x'); CREATE INDEX ON public.parts ((text::public.fine));
       CREATE INDEX typed_plain ON public.typed ((text::varchar))`,
      'notes',
    )
    const deleted = await resource.send({
      RequestType: 'Delete',
      PhysicalResourceId: created.PhysicalResourceId ?? '',
    })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
    // As autovacuum does by itself.
    await query(`SET ROLE ${master}; ANALYZE public.typed; ANALYZE public.parts`, 'notes')
    await assertNobodySeen()
    const kept = await query(
      `SELECT (SELECT array_agg(indexrelid::regclass::text) FROM pg_index WHERE indrelid = 'public.typed'::regclass) AS indexes,
         (SELECT array_agg(attname::text ORDER BY attname) FROM pg_stats WHERE tablename = 'typed') AS analyzed`,
      'notes',
    )
    assert.deepEqual(kept, [{ indexes: ['typed_plain'], analyzed: ['c', 'text'] }])
  })

  test('postgres: nobody can stop it who holds a lock of the same name', async () => {
    await reset()
    const holder = new pg.Client({
      host: '127.0.0.1',
      port: server.port,
      user: mallory,
      database: 'notes',
      ssl: false,
    })
    await holder.connect()
    try {
      await holder.query("SELECT pg_advisory_lock(hashtext('middy-rds-iam'))")
      await live()
    } finally {
      await holder.end()
    }
  })

  test('postgres: says what it waited for, where another session holds what it needs', async t => {
    t.after(() => resource.startInner())
    const created = await resource.send({})
    await resource.startInner({}, 24_000)
    const holder = new pg.Client({
      host: '127.0.0.1',
      port: server.port,
      user: 'postgres',
      database: 'notes',
      ssl: false,
    })
    await holder.connect()
    try {
      await holder.query('BEGIN; COMMENT ON ROLE notes_app IS NULL')
      const answer = await resource.send({
        RequestType: 'Update',
        PhysicalResourceId: created.PhysicalResourceId ?? '',
      })
      assert.equal(answer.Status, 'FAILED')
      assert.match(answer.Reason, /lock timeout \(55P03\).*another session kept something to itself/)
    } finally {
      await holder.query('ROLLBACK')
      await holder.end()
    }
    const deleted = await resource.send({
      RequestType: 'Delete',
      PhysicalResourceId: created.PhysicalResourceId ?? '',
    })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
  })
}

async function testMysql(kind: (typeof kinds)[number]): Promise<void> {
  const server = await startMasterServer(kind)
  const { resource, live } = await prepare(server)
  const { query } = server

  await query(`CREATE USER '${mallory}'@'%'`)
  await query('CREATE DATABASE plants')
  // As `GRANT ALL ON \`%\`.*` gives them, which is the master user's own way to be let into every database.
  for (const database of ['plants', 'notes', 'middy_rds_iam'])
    await query(`GRANT ALL ON ${database}.* TO '${mallory}'@'%'`)
  await query('CREATE TABLE plants.victims (name varchar(80))')
  const asMallory = async (...statements: readonly string[]) => {
    const connection = await mysql.createConnection({ host: '127.0.0.1', port: server.port, user: mallory })
    try {
      for (const sql of statements) await connection.query(sql)
    } finally {
      await connection.end()
    }
  }
  const victims = async () =>
    (await query('SELECT DISTINCT name AS name FROM plants.victims')).map(({ name }) => name)
  await asMallory(
    'CREATE FUNCTION plants.seen() RETURNS int DETERMINISTIC MODIFIES SQL DATA SQL SECURITY INVOKER ' +
      `BEGIN IF CURRENT_USER() NOT LIKE '${mallory}%' THEN INSERT INTO plants.victims VALUES (CURRENT_USER()); END IF; RETURN 1; END`,
  )

  test(`${kind}: nobody becomes the master user by a view in place of the table of marks`, async () => {
    await query('DROP DATABASE IF EXISTS middy_rds_iam')
    await asMallory(
      'CREATE DATABASE middy_rds_iam',
      "CREATE SQL SECURITY INVOKER VIEW middy_rds_iam.database_users AS SELECT 'notes_app' AS name, CONCAT('', plants.seen()) AS mark",
    )
    const answer = await resource.send({})
    assert.deepEqual(await victims(), [])
    assert.equal(answer.Status, 'FAILED')
    assert.match(answer.Reason, /middy_rds_iam\.database_users is not the table that this resource makes/)
    assert.deepEqual(
      await query("SELECT user FROM mysql.user WHERE user LIKE 'notes_app' OR user LIKE 'middy%'"),
      [],
    )
    const id = `mysql://localhost:${resource.front.port}/notes/notes_app`
    const deleted = await resource.send({ RequestType: 'Delete', PhysicalResourceId: id })
    assert.deepEqual(await victims(), [])
    assert.equal(deleted.Status, 'FAILED')
    await query('DROP DATABASE middy_rds_iam')
  })

  test(`${kind}: nobody becomes the master user by triggers on the table of marks`, async () => {
    await live()
    await asMallory(
      'CREATE TRIGGER middy_rds_iam.spring BEFORE INSERT ON middy_rds_iam.database_users FOR EACH ROW SET @x = plants.seen()',
    )
    const answer = await resource.send({})
    assert.deepEqual(await victims(), [])
    assert.match(answer.Reason, /middy_rds_iam has a trigger/)
    await query('DROP DATABASE middy_rds_iam')
  })

  test(`${kind}: nobody becomes the master user by routines, tables and views in the default database`, async () => {
    for (const name of ['GET_LOCK', 'SLEEP', 'user', 'CONCAT'])
      await asMallory(
        `CREATE FUNCTION notes.\`${name}\`(a text, b text) RETURNS int DETERMINISTIC MODIFIES SQL DATA SQL SECURITY INVOKER RETURN plants.seen()`,
      ).catch(() => {})
    for (const name of ['user', 'db', 'database_users', 'tables_priv'])
      await asMallory(
        `CREATE SQL SECURITY INVOKER VIEW notes.\`${name}\` AS SELECT 'notes_app' AS user, '%' AS host, plants.seen() AS mark`,
      )
    await live()
    assert.deepEqual(await victims(), [])
  })

  test(`${kind}: settings of the server, and what it does for whoever connects, change nothing`, async () => {
    const [before] = await query('SELECT @@GLOBAL.sql_mode AS mode')
    await query(`SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,IGNORE_SPACE'`)
    await query(
      `SET GLOBAL init_connect = 'SET NAMES gbk; SET autocommit = 0; SET sql_quote_show_create = 0; SET completion_type = 2; USE plants'`,
    )
    try {
      await live()
      assert.deepEqual(await victims(), [])
      assert.deepEqual(
        await query("SELECT user FROM mysql.user WHERE user LIKE 'notes_app' OR user LIKE 'middy%'"),
        [],
      )
    } finally {
      await query("SET GLOBAL init_connect = ''")
      await query(`SET GLOBAL sql_mode = '${before?.mode}'`)
    }
  })

  test(`${kind}: nobody can stop it who holds a lock of the same name`, async () => {
    const holder = await mysql.createConnection({ host: '127.0.0.1', port: server.port, user: mallory })
    try {
      await holder.query("SELECT GET_LOCK('middy-rds-iam', 1)")
      await resource.startInner({}, 30_000)
      await live()
    } finally {
      await holder.end()
      await resource.startInner()
    }
  })

  test(`${kind}: says what it waited for, where another session holds what it needs`, async t => {
    t.after(() => resource.startInner())
    const created = await resource.send({})
    await resource.startInner({}, 24_000)
    const [row] = await query("SELECT mark AS name FROM middy_rds_iam.database_users WHERE name = ''")
    const holder = await mysql.createConnection({ host: '127.0.0.1', port: server.port, user: 'root' })
    try {
      await holder.query('SELECT GET_LOCK(?, 1)', [row?.name])
      const answer = await resource.send({
        RequestType: 'Update',
        PhysicalResourceId: created.PhysicalResourceId ?? '',
      })
      assert.equal(answer.Status, 'FAILED')
      assert.match(answer.Reason, /^Another request for a user of this server has not ended within \d+ s$/)
    } finally {
      await holder.end()
    }
    const deleted = await resource.send({
      RequestType: 'Delete',
      PhysicalResourceId: created.PhysicalResourceId ?? '',
    })
    assert.equal(deleted.Status, 'SUCCESS', deleted.Reason)
  })
}

allRegistered()
