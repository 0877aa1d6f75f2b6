import type { Connection, RowDataPacket } from 'mysql2/promise'
import { isOneOf } from './mysql-session.ts'

/** One right, as it stands between `GRANT` or `REVOKE` and the account: ``SELECT ON `notes`.`notes` ``. */
export type Right = string

/**
 * Reads what a user may do, as the server says it: one text has one meaning then, however it was granted.
 *
 * @param account Quoted.
 * @see https://dev.mysql.com/doc/refman/8.4/en/show-grants.html
 */
export async function readRights(connection: Connection, account: string): Promise<readonly Right[]> {
  const [rows] = await connection.query<RowDataPacket[]>(`SHOW GRANTS FOR ${account}`)
  return rows.flatMap(row => readGrant(String(Object.values(row)[0])))
}

/**
 * Takes a statement of `SHOW GRANTS` apart, of which each names one object and several rights.
 *
 * @example ``readGrant("GRANT SELECT, INSERT (`a`, `b`) ON `x`.`y` TO `z`@`%`")`` has three
 */
export function readGrant(statement: string): readonly Right[] {
  const grant = /^GRANT (?<all>.*)$/s.exec(statement)?.groups?.all
  // MySQL has lines that take something away of a right for all databases, and MariaDB that of the default
  // role.
  if (grant === undefined) return []
  const [what = '', to = ''] = splitAt(grant, ' TO ')
  const [list = '', object] = splitAt(what, ' ON ')
  const on = object === undefined ? '' : ` ON ${object}`
  const rights = splitAt(list, ',').map(right => right.trim())
  const option = / WITH (?:GRANT OPTION|.* GRANT OPTION)/.test(afterAccount(to)) && object !== undefined
  return [...rights.flatMap(splitColumns), ...(option ? ['GRANT OPTION'] : [])]
    .filter(right => right !== 'USAGE')
    .map(right => `${right}${on}`)
}

/** A right for some columns is one right for each of them. */
function splitColumns(right: string): readonly string[] {
  const { name, columns } = /^(?<name>[A-Z ]+) \((?<columns>.*)\)$/s.exec(right)?.groups ?? {}
  if (name === undefined || columns === undefined) return [right]
  return splitAt(columns, ',').map(column => `${name} (${column.trim()})`)
}

/** What follows the name of a user, in which anything could stand. */
function afterAccount(text: string): string {
  return text.replace(/`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'/g, '')
}

/** Splits where a separator stands outside of quotes and parentheses. */
function splitAt(text: string, separator: string): string[] {
  const parts = ['']
  const pieces = text.match(/`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'|\((?:`(?:[^`]|``)*`|[^`)])*\)|[\s\S]/g) ?? []
  for (let index = 0; index < pieces.length; index += 1) {
    const isHere = pieces.slice(index, index + separator.length).join('') === separator
    if (isHere) index += separator.length - 1
    parts.push(isHere ? '' : `${parts.pop()}${pieces[index]}`)
  }
  return parts
}

/** Takes rights away from a user, also where what they are for is gone. */
export async function revokeRights(
  connection: Connection,
  rights: readonly Right[],
  account: string,
): Promise<void> {
  for (const right of rights) {
    try {
      await connection.query(`REVOKE ${right} FROM ${account}`)
    } catch (error) {
      if (!isOneOf(error, undefinedCodes)) throw error
    }
  }
}

// A grant, a table's grant, a routine's grant, a table, a routine, a database that is not there.
const undefinedCodes = [
  'ER_NONEXISTING_GRANT',
  'ER_NONEXISTING_TABLE_GRANT',
  'ER_NONEXISTING_PROC_GRANT',
  'ER_NO_SUCH_TABLE',
  'ER_SP_DOES_NOT_EXIST',
  'ER_BAD_DB_ERROR',
]
