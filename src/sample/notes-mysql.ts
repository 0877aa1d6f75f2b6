import { TLSSocket } from 'node:tls'
import { Logger } from '@aws-lambda-powertools/logger'
import middy from '@middy/core'
import { iamMysql } from 'middy-rds-iam/mysql2'
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import { asksForDiagnosis, parseEvent } from './event.ts'

const logger = new Logger()
// Empty on AWS: RDS's own authorities are trusted already. Locally, the gateway's.
const ca = process.env.DATABASE_CA || undefined
const options = { logger, tls: { ca } }

/**
 * Adds and lists notes in MySQL or MariaDB, as the database user in MYSQL_USER, signed in by IAM.
 * `notes-mysql.sql` makes the user and the table.
 */
export const handler = middy()
  // In front of the middleware that connects, because where connecting fails no handler is reached: this is
  // answered without it. It is loaded when it is asked for.
  .before(async ({ event, context }) => {
    if (!asksForDiagnosis(event)) return undefined
    const { diagnoseMysql } = await import('middy-rds-iam/diagnose/mysql2')
    return diagnoseMysql(options, context)
  })
  .use(iamMysql(options))
  .handler(async (event: unknown, { db }) => {
    const request = parseEvent(event)
    switch (request.action) {
      case 'add':
        return addNote(db, request.text)
      case 'list':
        return listNotes(db)
      case 'whoami':
        return describeSession(db)
    }
  })

async function addNote(db: Connection, text: string) {
  const [{ insertId }] = await db.execute<ResultSetHeader>('INSERT INTO notes (text) VALUES (?)', [text])
  logger.info('note added', { id: insertId })
  const [rows] = await db.execute<RowDataPacket[]>(
    'SELECT id, text, created_at AS createdAt FROM notes WHERE id = ?',
    [insertId],
  )
  return rows[0]
}

async function listNotes(db: Connection) {
  const [rows] = await db.execute<RowDataPacket[]>(
    'SELECT id, text, created_at AS createdAt FROM notes ORDER BY id DESC LIMIT 100',
  )
  return rows
}

async function describeSession(db: Connection) {
  const [rows] = await db.query<RowDataPacket[]>(
    // Who the server let in, without the hosts that the user may come from.
    "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS user, DATABASE() AS `database`, VERSION() AS server",
  )
  // The function's own end of the connection: the status variable Ssl_cipher would tell of the leg behind a
  // proxy or a gateway.
  const { stream } = (db as Connection & { connection: { stream: unknown } }).connection
  const tls = stream instanceof TLSSocket && {
    version: stream.getProtocol(),
    cipher: stream.getCipher().name,
  }
  return { ...rows[0], tls }
}
