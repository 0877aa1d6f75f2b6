import './process.ts'
import { createPgPool } from '../../../src/pg.ts'
import { createBareHandler } from './bare.ts'
import { faultyPg } from './faulty-pg.ts'

export const handler = createBareHandler(createPgPool, faultyPg)
