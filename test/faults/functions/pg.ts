import './process.ts'
import { iamPg, iamPgPool } from '../../../src/pg.ts'
import { faultyPg } from './faulty-pg.ts'
import { createHandler } from './handler.ts'

export const handler = createHandler({ iamPg, iamPgPool }, faultyPg)
