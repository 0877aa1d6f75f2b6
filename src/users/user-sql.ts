import {
  iamUserStatements,
  quoteMysqlAccount,
  quotePostgresName,
  quotePostgresText,
} from '../identifiers/sql.ts'
import { takenNameProblem, userNameProblem } from '../identifiers/user-names.ts'
import { createChecks, got, gotName, refuseProblems } from '../options/checks.ts'
import { disarmOwnedCode } from './owned-code.ts'

/**
 * A database user, and the engine of its server.
 *
 * @example { engine: 'postgres', user: 'orders_app', masterUser: 'postgres' }
 */
export interface UserSqlOptions {
  /** `'mysql'` stands for MariaDB too. */
  readonly engine: 'postgres' | 'mysql'
  /** The database user, any legal name, unquoted, for example `orders_app`. Case-sensitive. */
  readonly user: string
  /**
   * The database's master user. It is refused as `user`, whatever its case: as an IAM user it could not log
   * in with its password any more, and a dropped master user cannot repair anything.
   *
   * @default unknown
   */
  readonly masterUser?: string | undefined
}

/**
 * The options of `createUserSql`.
 *
 * @example { engine: 'mysql', user: 'shop_app', masterUser: 'admin', ifNotExists: true }
 */
export interface CreateUserSqlOptions extends UserSqlOptions {
  /**
   * Whether the SQL may be run again. An IAM user that exists stays as it is. If a user with the name exists
   * that is not an IAM user, PostgreSQL raises an error, while MySQL and MariaDB only note it.
   *
   * @default false: a user that exists is an error
   */
  readonly ifNotExists?: boolean | undefined
}

/**
 * The options of `dropUserSql`.
 *
 * @example { engine: 'postgres', user: 'orders_app', ifExists: true, reassignTo: 'orders_owner' }
 */
export interface DropUserSqlOptions extends UserSqlOptions {
  /** Whether the SQL may be run again. @default false: a user that does not exist is an error */
  readonly ifExists?: boolean | undefined
  /**
   * In PostgreSQL, the role that takes over what the user owns, for example `orders_owner`.
   *
   * @default the role that runs the statements
   */
  readonly reassignTo?: string | undefined
}

/**
 * The two steps of removing a database user.
 *
 * @example { inEveryDatabase: [], once: ["DROP USER 'shop_app'@'%';"] }
 */
export interface DropUserSql {
  /**
   * Run these first, in every database of the server in which the user owns something or has privileges. The
   * list is empty for MySQL and MariaDB, in which a user owns nothing.
   */
  readonly inEveryDatabase: readonly string[]
  /** Run these afterwards, once, in any database. */
  readonly once: readonly string[]
}

/**
 * Writes the SQL that creates a database user for IAM. The master user runs it. The new user may log in and
 * do nothing else: `GRANT` what it needs.
 *
 * @returns The statements, each with its semicolon.
 * @example
 * ```ts
 * import pg from 'pg'
 *
 * const client = new pg.Client()
 * const statements = createUserSql({ engine: 'postgres', user: 'orders_app', masterUser: 'postgres' })
 * for (const sql of statements) await client.query(sql)
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once and what it got.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
 */
export function createUserSql(options: CreateUserSqlOptions): readonly string[] {
  requireOptions('createUserSql', options, ['ifNotExists'])
  const { engine, user, ifNotExists = false } = options
  if (engine === 'mysql') return iamUserStatements.mysql(user, ifNotExists)
  const statements = iamUserStatements.postgres(user)
  if (!ifNotExists) return statements
  const text = quotePostgresText(user)
  // PostgreSQL has no CREATE USER IF NOT EXISTS. Granting rds_iam to a user that exists would end a password
  // in use.
  return [
    doBlock([
      `IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) ${text}) THEN`,
      ...statements.map(statement => `  ${statement}`),
      `ELSIF NOT pg_catalog.pg_has_role(${text}, 'rds_iam', 'MEMBER') THEN`,
      `  RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = ${quotePostgresText(`The role "${user}" is there and is no IAM user`)},`,
      `    HINT = 'GRANT rds_iam to it, which ends its password, or take another name';`,
      'END IF;',
    ]),
  ]
}

/**
 * Writes the SQL that removes a database user. The master user runs it. Take `rds-db:connect` away from the
 * role first. Open connections stay open.
 *
 * PostgreSQL does not drop a role that owns something or has privileges. The first step therefore gives what
 * it owns to another role and takes its privileges away, in every database. What would run with the rights of
 * its new owner is disarmed before: routines with `SECURITY DEFINER` get `SECURITY INVOKER`, nobody else keeps
 * privileges on its views and on tables with rules, and indexes, exclusion constraints and statistics over
 * functions, operators or types that PostgreSQL does not bring are dropped. Columns of such range types get no
 * statistics. It cannot take away privileges on an object that neither of the two roles owns. PostgreSQL's
 * error names these; the owner of the object has to revoke them.
 *
 * @returns Both steps, each as statements with their semicolons.
 * @example
 * ```ts
 * const { inEveryDatabase, once } = dropUserSql({ engine: 'postgres', user: 'orders_app' })
 * console.log([...inEveryDatabase, ...once].join('\n'))
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once and what it got.
 * @see https://www.postgresql.org/docs/current/role-removal.html
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
 */
export function dropUserSql(options: DropUserSqlOptions): DropUserSql {
  requireOptions('dropUserSql', options, ['ifExists', 'reassignTo'])
  const { engine, user, ifExists = false, reassignTo } = options
  const guard = ifExists ? 'IF EXISTS ' : ''
  if (engine === 'mysql')
    return { inEveryDatabase: [], once: [`DROP USER ${guard}${quoteMysqlAccount(user)};`] }
  const name = quotePostgresName(user)
  const beforehand = [
    // Revoked first, because the next statement makes the master user a member of the role: with rds_iam in
    // the role, IAM would decide about the master user.
    `REVOKE rds_iam FROM ${name};`,
    // The master user of RDS is no superuser. Only a member of a role may give away what the role owns.
    `GRANT ${name} TO CURRENT_USER;`,
  ]
  const takeOver = [
    `REASSIGN OWNED BY ${name} TO ${reassignTo === undefined ? 'CURRENT_USER' : quotePostgresName(reassignTo)};`,
    `DROP OWNED BY ${name};`,
  ]
  const disarm = disarmOwnedCode(user)
  const condition = `EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) ${quotePostgresText(user)})`
  const all = [...beforehand, ...disarm, ...takeOver]
  const guarded = [`IF ${condition} THEN`, ...all.map(statement => `  ${statement}`), 'END IF;']
  return {
    inEveryDatabase: ifExists ? [doBlock(guarded)] : [...beforehand, doBlock(disarm), ...takeOver],
    once: [`DROP USER ${guard}${name};`],
  }
}

/** Writes an anonymous block for PostgreSQL, quoted by a tag that does not occur in it. */
function doBlock(lines: readonly string[]): string {
  const body = ['BEGIN', ...lines.map(line => `  ${line}`), 'END'].join('\n')
  let tag = '$do$'
  while (body.includes(tag)) tag = `${tag.slice(0, -1)}_$`
  return `DO ${tag}\n${body}\n${tag};`
}

function requireOptions(place: string, options: unknown, others: readonly string[]): void {
  const checks = createChecks()
  const names = ['engine', 'user', 'masterUser', ...others]
  const given = checks.object('options', options, '{ engine, user }') ?? {}
  checks.known(given, names)
  const { engine, user, masterUser, reassignTo } = given
  if (engine !== 'postgres' && engine !== 'mysql')
    checks.complain('engine', `is neither 'postgres' nor 'mysql', which is MariaDB's too${got(engine)}`)
  const complain = (name: string, problem: string | undefined): void => {
    if (problem !== undefined) checks.complain(name, `${problem}${gotName(given[name])}`)
  }
  complain('user', userNameProblem(engine, user) ?? takenNameProblem(user, masterUser))
  if (masterUser !== undefined) complain('masterUser', userNameProblem(engine, masterUser))
  if (reassignTo !== undefined) {
    if (engine === 'mysql')
      checks.complain('reassignTo', "is PostgreSQL's: in MySQL and MariaDB, a user owns nothing")
    else if (reassignTo === user) complain('reassignTo', 'is the user that is to be dropped')
    else complain('reassignTo', userNameProblem(engine, reassignTo))
  }
  for (const name of ['ifNotExists', 'ifExists']) checks.boolean(name, given[name], false)
  refuseProblems(place, checks.problems)
}
