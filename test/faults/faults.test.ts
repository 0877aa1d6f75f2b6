// Every fault of the middlewares that takes no seconds, on PostgreSQL and on what is there of MySQL and MariaDB. The slow ones, the other
// server, and the pools without a middleware, which go the same ways, are in faults.slow.ts, which `npm run test:faults` runs.
import { test } from 'node:test'
import { findMysqlKinds } from '../support/database.ts'
import { mysqlEngine, postgresEngine } from './engines.ts'
import { faults } from './rows/index.ts'
import { runTable } from './table.ts'

const { kinds, missing } = findMysqlKinds()
const engines = [postgresEngine, ...kinds.slice(-1).map(mysqlEngine)]
runTable(
  faults.filter(({ slow }) => !slow),
  engines,
  kinds.length > 0 ? '' : missing,
  /^iam/,
)

test('the faults that take seconds, those of pools without a middleware, and all on the other server of MySQL', {
  skip: 'left out: npm run test:faults runs them',
}, () => {})
