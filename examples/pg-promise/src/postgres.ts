import { pgOptions } from 'middy-rds-iam/pg'
import pgPromise from 'pg-promise'

export const pgp = pgPromise()

/** Reads PGHOST, PGUSER and so on, and connects when it is first asked to. */
export const db = pgp({ ...(await pgOptions()), max: 4 })
