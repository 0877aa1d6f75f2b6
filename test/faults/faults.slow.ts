// The whole table, with every server that is here; minutes, not seconds. `npm run test:faults` runs it; a part of it alone with
// `FAULTS='^createPgPool' npm run test:faults`.
import { findMysqlKinds } from '../support/database.ts'
import { mysqlEngine, postgresEngine } from './engines.ts'
import { faults } from './rows/index.ts'
import { runTable } from './table.ts'

const { kinds, missing } = findMysqlKinds()
runTable(faults, [postgresEngine, ...kinds.map(mysqlEngine)], missing)
