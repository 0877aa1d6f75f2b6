import { spawnSync } from 'node:child_process'

/** What the clients of MySQL and MariaDB take from an option file alone. */
export interface MysqlClientOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  /** Empty for none. */
  readonly database: string
  /** The file of authorities to verify the server against; with none, TLS is not spoken. */
  readonly caFile: string | undefined
}

/**
 * Writes the file that `mysql`, `mysqldump`, `mariadb` and the other clients read as `$MYSQL_HOME/my.cnf`: of
 * the user and of TLS, the environment tells them nothing. It has no password, which comes by MYSQL_PWD.
 *
 * @see https://dev.mysql.com/doc/refman/8.4/en/option-files.html
 * @see https://mariadb.com/kb/en/configuring-mariadb-with-option-files/
 */
export function formatMysqlOptions(options: MysqlClientOptions): string {
  const { host, port, user, database, caFile } = options
  const encrypted = caFile !== undefined
  return [
    '[client]',
    `host=${quote(host)}`,
    `port=${port}`,
    // The name localhost would be a socket in the file system.
    'protocol=tcp',
    `user=${quote(user)}`,
    ...(encrypted ? [`ssl-ca=${quote(caFile)}`] : []),
    // Those of MariaDB do not know them and would not start. Without them, those of MySQL send no token.
    ...(hasMariadbClients()
      ? []
      : encrypted
        ? ['ssl-mode=VERIFY_IDENTITY', 'enable-cleartext-plugin']
        : ['ssl-mode=DISABLED']),
    // A group that only those of MariaDB read.
    '[client-mariadb]',
    encrypted ? 'ssl-verify-server-cert' : 'skip-ssl',
    // In the first group, mysqldump would take it for the beginning of `databases`.
    ...(database === '' ? [] : ['[mysql]', `database=${quote(database)}`]),
    '',
  ].join('\n')
}

/** Their escapes are those of JSON, within quotes. */
const quote = (text: string) => JSON.stringify(text)

/** Whether the clients on the PATH are MariaDB's, which come by MySQL's names as well. */
function hasMariadbClients(): boolean {
  for (const name of ['mysql', 'mariadb']) {
    const { error, stdout } = spawnSync(name, ['--no-defaults', '--version'], { encoding: 'utf8' })
    if (error === undefined) return stdout.includes('MariaDB')
  }
  return false
}
