import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import type { Mysql, MysqlKind } from '../../kit/src/database/mysql.ts'
import { makeAuthority } from '../../kit/src/gateway/certificate.ts'
import { startMysql } from './servers.ts'

/** A MySQL or MariaDB server that speaks TLS itself, stopped after the test file's last test. */
export async function startTlsMysql(
  kind: MysqlKind,
  settings: Readonly<Record<string, string>> = {},
): Promise<{ readonly server: Mysql; readonly ca: string }> {
  const authority = await makeAuthority()
  const { cert, key } = await authority.issue({ names: ['localhost'] })
  // The server can read it whoever it runs as.
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-tls-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755)
  const paths = { 'ssl-cert': join(folder, 'server.crt'), 'ssl-key': join(folder, 'server.key') }
  writeFileSync(paths['ssl-cert'], cert)
  writeFileSync(paths['ssl-key'], key)
  // MySQL of today speaks TLS where there is a certificate, and has no option for it any more.
  const server = await startMysql({ kind, settings: { ...paths, 'loose-ssl': 'ON', ...settings } })
  after(() => server.stop())
  return { server, ca: authority.ca }
}

/** Whether a server speaks TLS of today; those without are too old for a version that Node.js takes. */
export async function speaksTls(server: Pick<Mysql, 'query'>): Promise<boolean> {
  const [row] = await server.query("SHOW GLOBAL VARIABLES LIKE 'tls_version'")
  return String(row?.Value).includes('TLSv1.2')
}
