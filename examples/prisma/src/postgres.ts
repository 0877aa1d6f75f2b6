import { PrismaPg } from '@prisma/adapter-pg'
import { createPgPool } from 'middy-rds-iam/pg'
import { PrismaClient } from '../generated/client.ts'

/** Reads PGHOST, PGUSER and so on, and connects when it is first asked to; in Lambda, at once. */
export const pool = createPgPool({ max: 4 })

export const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
