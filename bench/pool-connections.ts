// How many connections a pool opens for queries that run one after the other: as many as are needed at once.
import type { Stack } from '../local/stack.ts'
import { selectOne, startConfigured } from './configured-function.ts'
import { canReset, isolated, notIsolated } from './isolation.ts'
import { type Budget, printTable } from './report.ts'
import type { Task } from './task.ts'

interface Load {
  readonly what: string
  readonly options: object
  readonly task: Task
}

const failing: Task = { ...selectOne, failing: Array(20).fill('SELECT nothing_of_this_name') }
const tenQueries: Task = { sql: Array(10).fill('SELECT 1 AS one') }

const loads: readonly Load[] = [
  { what: '20 failing queries', options: notIsolated, task: failing },
  { what: '20 failing queries, isolated', options: isolated, task: failing },
  { what: '10 queries, isolated', options: isolated, task: tenQueries },
]

export async function measurePoolConnections(stack: Stack, folder: string): Promise<Budget[]> {
  const rows: Record<string, readonly [number]> = {}
  for (const { what, options, task } of loads)
    if (options !== isolated || canReset(stack))
      rows[what] = [await countConnections(stack, folder, options, task)]
  printTable('Connections that a pool opened', ['this package'], rows)
  return Object.entries(rows).map(([what, [measured]]) => ({
    what: `connections of a pool after ${what}`,
    measured,
    limit: 1,
    unit: 'of them',
  }))
}

async function countConnections(stack: Stack, folder: string, options: object, task: Task): Promise<number> {
  const before = stack.database.decisions.length
  const environment = await startConfigured(stack, folder, { kind: 'pool', options })
  await environment.run(task)
  // The next invocation has the same one.
  await environment.run(selectOne)
  await environment.stop()
  return stack.database.decisions.length - before
}
