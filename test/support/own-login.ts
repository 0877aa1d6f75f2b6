import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after } from 'node:test'
import type { Mysql } from '../../kit/src/database/mysql.ts'
import type { MysqlKind } from '../../kit/src/database/mysql-program.ts'
import { NotInstalled } from '../../kit/src/database/not-installed.ts'
import type { Postgres } from '../../kit/src/database/postgres.ts'
import { startWatcher } from '../../kit/src/database/watcher.ts'
import { buildOwnLogin, installPlugin, type LentLibrary, lendLibrary } from '../../local/plugins/own-login.ts'
import { installation } from './servers.ts'
import { speaksTls, startTlsMysql } from './tls-mysql.ts'
import { startTlsPostgres } from './tls-postgres.ts'
import { type Judge, startVerifier } from './verifier.ts'

/** A server that asks for tokens by itself, over TLS of its own, as one on RDS does. */
export interface OwnLogin<S = Mysql | Postgres> {
  readonly server: S
  /** The authority of its certificate, which is for localhost, PEM. */
  readonly ca: string
  /** From then on, the server asks in vain. */
  readonly endVerifier: () => void
}

/**
 * Starts a MySQL or MariaDB that has RDS's plugin, by its name; it ends with the test file's last test.
 *
 * @param judge What the plugin asks.
 * @param start Starts the server with settings. @default with TLS
 * @throws {NotInstalled} Where it cannot be had.
 */
export async function startOwnMysql(
  kind: MysqlKind,
  judge: Judge,
  start = startTlsMysql,
): Promise<OwnLogin<Mysql>> {
  const library = lend(await buildOwnLogin(kind))
  const { server, ca } = await start(kind, { 'plugin-dir': library.folder })
  if (!(await speaksTls(server))) throw new NotInstalled(`${server.name} speaks no TLS of today`)
  const endVerifier = await startVerifier(server, judge)
  await installPlugin(server, library)
  return { server, ca, endVerifier }
}

/** As {@link startOwnMysql} does, a PostgreSQL that asks the members of `rds_iam` by PAM, and lets nobody else in. */
export async function startOwnPostgres(judge: Judge): Promise<OwnLogin<Postgres>> {
  const { folder, name } = lend(await buildOwnLogin('postgres', installation))
  const service = installService(join(folder, name))
  const opened = await startTlsPostgres(`hostssl all +rds_iam 127.0.0.1/32 pam pamservice=${service}`)
  return { ...opened, endVerifier: await startVerifier(opened.server, judge) }
}

/** Makes a service of PAM that a module alone decides about, until the test file's last test. @returns Its name. */
function installService(module: string): string {
  // PAM looks for names in lower case.
  const service = `middy-rds-iam-${randomUUID()}`
  const file = join('/etc/pam.d', service)
  // It goes, too, where the tests are killed.
  const watcher = startWatcher(file, 'KILL')
  after(() => {
    rmSync(file)
    watcher.dismiss()
  })
  writeFileSync(file, `auth required ${module}\naccount required ${module}\n`)
  return service
}

function lend(library: string): LentLibrary {
  const lent = lendLibrary(library)
  after(lent.remove)
  return lent
}
