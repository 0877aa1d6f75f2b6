import { after } from 'node:test'
import type { Postgres, PostgresOptions } from '../../kit/src/database/postgres.ts'
import { makeAuthority } from '../../kit/src/gateway/certificate.ts'
import { startPostgres } from './servers.ts'

/**
 * A PostgreSQL server that speaks TLS itself, stopped after the test file's last test.
 *
 * @param rules Whom it lets in and how, as `pg_hba.conf` has it; whoever it stands for, the tests' own
 * superuser comes in without TLS.
 * @param options Those of the server.
 * @param names What its certificate is for.
 */
export async function startTlsPostgres(
  rules: string,
  {
    options = {},
    names = ['localhost'],
  }: { readonly options?: PostgresOptions; readonly names?: readonly string[] } = {},
): Promise<{ readonly server: Postgres; readonly ca: string }> {
  const authority = await makeAuthority()
  const { cert, key } = await authority.issue({ names })
  const server = await startPostgres(options)
  after(() => server.stop())
  const write = (name: string, text: string) => {
    const bytes = `decode('${Buffer.from(text).toString('hex')}', 'hex')`
    return server.query(
      `SELECT lo_from_bytea(7, ${bytes}); SELECT lo_export(7, '${name}'); SELECT lo_unlink(7)`,
    )
  }
  await write('server.crt', cert)
  await write('server.key', key)
  await write('pg_hba.conf', `${rules}\nhostnossl all postgres 127.0.0.1/32 trust\n`)
  await server.query(`COPY (SELECT) TO PROGRAM 'cat > server.none; chmod 600 server.key'`)
  await server.query('ALTER SYSTEM SET ssl = on')
  await server.query('SELECT pg_reload_conf()')
  // The server reads its configuration again a moment later.
  while ((await server.query('SHOW ssl'))[0]?.ssl !== 'on');
  return { server, ca: authority.ca }
}
