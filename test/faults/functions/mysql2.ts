import './process.ts'
import { iamMysql, iamMysqlPool } from '../../../src/mysql2.ts'
import { faultyMysql } from './faulty-mysql2.ts'
import { createHandler } from './handler.ts'

export const handler = createHandler({ iamMysql, iamMysqlPool }, faultyMysql)
