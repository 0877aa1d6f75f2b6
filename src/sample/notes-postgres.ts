import { TLSSocket } from 'node:tls'
import { Logger } from '@aws-lambda-powertools/logger'
import middy from '@middy/core'
import { iamPg } from 'middy-rds-iam/pg'
import type { Client } from 'pg'
import { asksForDiagnosis, parseEvent } from './event.ts'

const logger = new Logger()
// Empty on AWS: RDS's own authorities are trusted already. Locally, the gateway's.
const ca = process.env.DATABASE_CA || undefined
const options = { logger, tls: { ca } }

/**
 * Adds and lists notes in PostgreSQL, as the database user in PGUSER, signed in by IAM. `notes-postgres.sql`
 * makes the user and the table.
 */
export const handler = middy()
  // In front of the middleware that connects, because where connecting fails no handler is reached: this is
  // answered without it. It is loaded when it is asked for.
  .before(async ({ event, context }) => {
    if (!asksForDiagnosis(event)) return undefined
    const { diagnosePg } = await import('middy-rds-iam/diagnose/pg')
    return diagnosePg(options, context)
  })
  .use(iamPg(options))
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

async function addNote(db: Client, text: string) {
  const { rows } = await db.query(
    'INSERT INTO notes (text) VALUES ($1) RETURNING id, text, created_at AS "createdAt"',
    [text],
  )
  logger.info('note added', { id: rows[0].id })
  return rows[0]
}

async function listNotes(db: Client) {
  const { rows } = await db.query(
    'SELECT id, text, created_at AS "createdAt" FROM notes ORDER BY id DESC LIMIT 100',
  )
  return rows
}

async function describeSession(db: Client) {
  const { rows } = await db.query(
    'SELECT current_user AS user, current_database() AS database, version() AS server',
  )
  // The function's own end of the connection: pg_stat_ssl would tell of the leg behind a proxy or a gateway.
  const { stream } = db.connection
  const tls = stream instanceof TLSSocket && {
    version: stream.getProtocol(),
    cipher: stream.getCipher().name,
  }
  return { ...rows[0], tls }
}
