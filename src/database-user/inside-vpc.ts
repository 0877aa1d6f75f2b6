import { Logger } from '@aws-lambda-powertools/logger'
import type { Context } from 'aws-lambda'
import { regionOfHost } from '../identifiers/region.ts'
import { splitPem } from '../trust/pem.ts'
import { createTrust, type VerifiedTls } from '../trust/verified-tls.ts'
import { createUserSql } from '../users/user-sql.ts'
import { runMysqlTask } from './mysql-user.ts'
import { runPostgresTask } from './postgres-user.ts'
import { describeError, type Outcome, type Task, TaskFailure } from './task.ts'

const logger = new Logger({ serviceName: 'database-user-sql' })

/**
 * Runs the SQL of a custom resource `Custom::DatabaseUser`, as the master user, by password over verified TLS. It has no permission at all:
 * `database-user.ts` hands it what it needs. Nothing of the event is logged, which holds the password.
 */
export async function handler(
  task: Task,
  context: Pick<Context, 'getRemainingTimeInMillis'>,
): Promise<Outcome> {
  const { action, engine, user, host, port, database } = task
  // The server gives up before Lambda does, so that what was begun can still be taken back.
  const statementTimeoutMs = Math.max(1_000, context.getRemainingTimeInMillis() - 20_000)
  const outcome = await run(task, statementTimeoutMs)
  logger.info('task done', { action, engine, user, host, port, database, ...outcome })
  return outcome
}

async function run(task: Task, statementTimeoutMs: number): Promise<Outcome> {
  try {
    // Refuses the master user, and names that no server keeps as they are.
    createUserSql({ engine: task.engine, user: task.user, masterUser: task.master.username })
    const runTask = task.engine === 'postgres' ? runPostgresTask : runMysqlTask
    return { done: await runTask({ task, tls: await loadTls(task), statementTimeoutMs }) }
  } catch (error) {
    return {
      failed: describeError(error),
      mayRemain: error instanceof TaskFailure && error.mayRemain,
    }
  }
}

/** What is trusted for the database of the task, as the middlewares do. */
function loadTls({ host, port }: Task): Promise<VerifiedTls> {
  const { AWS_REGION = '', DATABASE_CA = '', NODE_EXTRA_CA_CERTS } = process.env
  return createTrust({
    region: regionOfHost(host) ?? AWS_REGION,
    endpoint: { host, port },
    ca: splitPem(DATABASE_CA),
    extraCaFile: NODE_EXTRA_CA_CERTS,
  })()
}
