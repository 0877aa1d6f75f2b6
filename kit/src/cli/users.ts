import { type CreateUserSqlOptions, createUserSql, type DropUserSqlOptions, dropUserSql } from 'middy-rds-iam'
import { callWithFlags, readArguments, UsageError } from './arguments.ts'
import type { Command } from './command.ts'

export const users: Command = {
  help: `rds-iam users: prints the SQL that creates or drops a database user, for the master user to run.

  rds-iam users create --engine postgres --user orders_app | psql "host=… user=postgres dbname=orders" -v ON_ERROR_STOP=1
  rds-iam users drop --engine mysql --user shop_app

  --engine name        postgres, or mysql for MySQL and MariaDB
  --user name          the database user, any legal name, as it is: it is quoted here
  --master-user name   the database's master user, which is refused as --user
  --if-not-exists      of create: SQL that can be run again. A user who is there stays as is; in PostgreSQL, one who is not an
                       IAM user is an error
  --if-exists          of drop: SQL that can be run again
  --reassign-to role   of drop, in PostgreSQL: who takes over what the user owns (default: who runs the SQL)
  --json               print a list of statements, of drop { inEveryDatabase, once }

A user that was created may log in and nothing else: GRANT what it needs. Before a user is dropped, take rds-db:connect away
from the role.
`,
  async run(args) {
    const { values, words } = readArguments(
      args,
      {
        engine: { type: 'string' },
        user: { type: 'string' },
        'master-user': { type: 'string' },
        'if-not-exists': { type: 'boolean' },
        'if-exists': { type: 'boolean' },
        'reassign-to': { type: 'string' },
        json: { type: 'boolean' },
      },
      { words: true },
    )
    const [action, ...others] = words
    if (others.length > 0 || (action !== 'create' && action !== 'drop'))
      throw new UsageError(
        `users takes create or drop, got ${words.length === 0 ? 'nothing' : words.join(' ')}`,
      )
    const owners = { 'if-not-exists': 'create', 'if-exists': 'drop', 'reassign-to': 'drop' } as const
    for (const [flag, owner] of Object.entries(owners))
      if (values[flag as keyof typeof owners] !== undefined && owner !== action)
        throw new UsageError(`--${flag} goes with ${owner}`)
    const named = {
      engine: values.engine,
      user: values.user,
      ...(values['master-user'] !== undefined && { masterUser: values['master-user'] }),
      ...(values['if-not-exists'] !== undefined && { ifNotExists: true }),
      ...(values['if-exists'] !== undefined && { ifExists: true }),
      ...(values['reassign-to'] !== undefined && { reassignTo: values['reassign-to'] }),
    }
    const sql = await callWithFlags(() =>
      action === 'create'
        ? createUserSql(named as CreateUserSqlOptions)
        : dropUserSql(named as DropUserSqlOptions),
    )
    process.stdout.write(`${values.json ? JSON.stringify(sql, null, 2) : format(sql)}\n`)
    return 0
  },
}

function format(sql: ReturnType<typeof createUserSql> | ReturnType<typeof dropUserSql>): string {
  if (!('once' in sql)) return sql.join('\n')
  if (sql.inEveryDatabase.length === 0) return sql.once.join('\n')
  return [
    '-- First, in every database where the user owns or may do anything:',
    ...sql.inEveryDatabase,
    '-- Then, once:',
    ...sql.once,
  ].join('\n')
}
