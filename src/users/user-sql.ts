import {
  iamUserStatements,
  quoteMysqlAccount,
  quotePostgresName,
  quotePostgresText,
} from '../identifiers/sql.ts'
import { createChecks, got, gotName, refuseProblems } from '../options/checks.ts'
import { takenNameProblem, userNameProblem } from './user-names.ts'

/** A database user, and the server that it is a user of. */
export interface UserSqlOptions {
  /** `'mysql'` is MariaDB's too. */
  readonly engine: 'postgres' | 'mysql'
  /** The database user, any legal name, unquoted, for example `orders_app`. Case-sensitive. */
  readonly user: string
  /**
   * The database's master user, which is refused as `user`, however it is spelled: as an IAM user it could no longer log in with its
   * password, and dropped it could no longer help.
   *
   * @default unknown
   */
  readonly masterUser?: string | undefined
}

/** What `createUserSql` is told. */
export interface CreateUserSqlOptions extends UserSqlOptions {
  /**
   * Let the SQL be run again. A user who is there stays as is; one who is not an IAM user is an error in PostgreSQL, while MySQL and
   * MariaDB only note it.
   *
   * @default false: a user who is there already is an error
   */
  readonly ifNotExists?: boolean | undefined
}

/** What `dropUserSql` is told. */
export interface DropUserSqlOptions extends UserSqlOptions {
  /** Let the SQL be run again. @default false: a user who is not there is an error */
  readonly ifExists?: boolean | undefined
  /**
   * In PostgreSQL, the role that takes over what the user owns, for example `orders_owner`.
   *
   * @default the role that runs the statements
   */
  readonly reassignTo?: string | undefined
}

/** The two steps of removing a database user. */
export interface DropUserSql {
  /**
   * To be run first, in every database of the server where the user owns or may do anything. Empty for MySQL and MariaDB, where a
   * user owns nothing.
   */
  readonly inEveryDatabase: readonly string[]
  /** To be run then, once, in any database. */
  readonly once: readonly string[]
}

/**
 * SQL that creates a database user whom IAM decides about, for the master user to run. The user may log in and nothing else: `GRANT`
 * what it needs.
 *
 * @returns One statement each, with its semicolon.
 * @example
 * ```ts
 * for (const sql of createUserSql({ engine: 'postgres', user: 'orders_app', masterUser: 'postgres' })) await client.query(sql)
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
  // PostgreSQL has no CREATE USER IF NOT EXISTS. To grant rds_iam to whoever bears the name would end a password that is in use.
  return [
    doBlock([
      `IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${text}) THEN`,
      ...statements.map(statement => `  ${statement}`),
      `ELSIF NOT pg_catalog.pg_has_role(${text}, 'rds_iam', 'MEMBER') THEN`,
      `  RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = ${quotePostgresText(`The role "${user}" is there and is no IAM user`)},`,
      `    HINT = 'GRANT rds_iam to it, which ends its password, or take another name';`,
      'END IF;',
    ]),
  ]
}

/**
 * SQL that removes a database user, for the master user to run. Take `rds-db:connect` away from the role first. Open connections stay
 * open.
 *
 * In PostgreSQL, a role that owns or may do anything cannot be dropped: what it owns is given to another role and its privileges are
 * taken away in every database, and only then it is dropped. Privileges on what neither of the two owns, its owner takes away;
 * PostgreSQL's error names them.
 *
 * @returns Both steps, one statement each, with its semicolon.
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
  const statements = [
    // The next statement would make its runner an indirect member, and IAM decide about the master user.
    `REVOKE rds_iam FROM ${name};`,
    // The master user of RDS is no superuser: only a member may give away what the role owns.
    `GRANT ${name} TO CURRENT_USER;`,
    `REASSIGN OWNED BY ${name} TO ${reassignTo === undefined ? 'CURRENT_USER' : quotePostgresName(reassignTo)};`,
    `DROP OWNED BY ${name};`,
  ]
  const condition = `EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${quotePostgresText(user)})`
  const guarded = [`IF ${condition} THEN`, ...statements.map(statement => `  ${statement}`), 'END IF;']
  return {
    inEveryDatabase: ifExists ? [doBlock(guarded)] : statements,
    once: [`DROP USER ${guard}${name};`],
  }
}

/** An anonymous block of PostgreSQL's, quoted by a tag that does not occur in it. */
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
  for (const name of Object.keys(given).filter(name => !names.includes(name)))
    checks.complain(name, 'is not an option')
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
