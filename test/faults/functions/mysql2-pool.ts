import './process.ts'
import { createMysqlPool } from '../../../src/mysql2.ts'
import { createBareHandler } from './bare.ts'
import { faultyMysql } from './faulty-mysql2.ts'

export const handler = createBareHandler(createMysqlPool, faultyMysql)
