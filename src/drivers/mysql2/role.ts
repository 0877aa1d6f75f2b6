import type { Connection as CoreConnection, QueryError } from 'mysql2'
import { unwatched } from './internals.ts'

/**
 * Has a row where the server takes no writes: readers of Aurora have `innodb_read_only`, replicas of RDS have
 * `read_only`, which newer versions of MariaDB say in words.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Reference.GlobalVariables.html
 * @see https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_read_only
 */
const readOnlySql =
  "SELECT 1 FROM DUAL WHERE CONCAT(@@global.read_only) NOT IN ('0', 'OFF') " +
  "OR CONCAT(@@global.innodb_read_only) NOT IN ('0', 'OFF')"

// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html: ER_UNKNOWN_SYSTEM_VARIABLE
const unknownVariable = 1193

/** Asks the server of a connection whether it takes writes. */
export function takesWrites(core: CoreConnection): Promise<boolean> {
  return new Promise((resolve, reject) =>
    unwatched(core, () =>
      core.query(readOnlySql, (error: QueryError | null, rows: unknown) => {
        if (error === null) resolve((rows as readonly unknown[]).length === 0)
        // What cannot tell is taken as it is; what was lost meanwhile is not.
        else if (error.errno === unknownVariable) resolve(true)
        else reject(error)
      }),
    ),
  )
}
