import { isGlobalEndpoint, regionOfHost } from '../identifiers/region.ts'
import { splitPem } from '../trust/pem.ts'
import { createTrust, type VerifiedTls } from '../trust/verified-tls.ts'
import { createUserSql } from '../users/user-sql.ts'
import { type DatabaseUserOptions, type InvocationContext, readHandlerLogger } from './handler-options.ts'
import { runMysqlTask } from './mysql-user.ts'
import { readOwnServer } from './own-stack.ts'
import { runPostgresTask } from './postgres-user.ts'
import { describeError, TaskFailure, type TaskOutcome, type UserTask } from './user-task.ts'

/**
 * Makes the handler that runs the SQL of a `Custom::DatabaseUser`: as the master user, by password over
 * verified TLS.
 *
 * **Where it runs**: in the VPC of the database, with a security group that leads there, as the function that
 * `SQL_FUNCTION` of {@link createHandlerOutsideVpc}'s function names. Its time limit should be 60 s: of it,
 * 20 s are for connecting and for taking back what was begun.
 *
 * **Its event** is a {@link UserTask}, by which the other handler hands it what it needs. Nothing of it is
 * logged but what names the user: the event holds the master user's password.
 *
 * **Whom it obeys**: whoever comes with the master user's password, which the other function alone may read,
 * and which the server itself checks before any SQL is run. The function has no right and no secret of its
 * own that it could lend to anybody else, and reaches the server of its stack alone.
 *
 * **Environment variables**: `STACK_ID`, `DATABASE_HOST` and `DATABASE_PORT`, as the other function has them:
 * a task for another stack or server is refused. `DATABASE_CA`, optional, is the PEM text of further
 * authorities to trust. `NODE_EXTRA_CA_CERTS` counts where this package has no authorities of the Region.
 *
 * **Permissions**: to write its log and to run in a VPC, and none besides.
 *
 * **Packages**: `pg` or `mysql2`, whichever the database speaks.
 *
 * @example
 * ```ts
 * import { createHandlerInsideVpc } from 'middy-rds-iam/database-user'
 * export const handler = createHandlerInsideVpc()
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem of the options at once. The handler never
 * throws: what fails is its outcome.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
 */
export function createHandlerInsideVpc(
  options?: DatabaseUserOptions,
): (task: UserTask, context: InvocationContext) => Promise<TaskOutcome> {
  const logger = readHandlerLogger('createHandlerInsideVpc', 'database-user-sql', options)
  return async (task, context) => {
    // The server gives up before Lambda does, so that what was begun can still be taken back.
    const statementTimeoutMs = Math.max(1_000, context.getRemainingTimeInMillis() - 20_000)
    const outcome = await run(task, statementTimeoutMs)
    const { action, engine, user, host, port, database } = task ?? {}
    logger.info('task done', { action, engine, user, host, port, database, ...outcome })
    return outcome
  }
}

async function run(task: UserTask, statementTimeoutMs: number): Promise<TaskOutcome> {
  try {
    requireTask(task)
    requireOwnServer(task)
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

/** What is no task comes from nobody whom it is for. */
function requireTask(task: UserTask | null): void {
  const { action, owner, master, setup, grants } = task ?? {}
  const isTask =
    (action === 'keep' || action === 'drop') &&
    owner &&
    master &&
    Array.isArray(setup) &&
    Array.isArray(grants)
  if (!isTask) throw new TaskFailure('That is no task of the function that answers CloudFormation')
}

/** The way into the VPC leads to one server. */
function requireOwnServer({ owner, host, port }: UserTask): void {
  const own = readOwnServer()
  if (owner.stack === own.stack && host === own.host && port === own.port) return
  throw new TaskFailure(`The function is there for ${own.host}:${own.port} of the stack ${own.stack} alone`)
}

/** What is trusted for the database of the task, as the middlewares do. */
function loadTls({ host, port }: UserTask): Promise<VerifiedTls> {
  const { AWS_REGION = '', DATABASE_CA = '', NODE_EXTRA_CA_CERTS } = process.env
  return createTrust({
    region: regionOfHost(host) ?? AWS_REGION,
    everyRegion: isGlobalEndpoint(host),
    endpoint: { host, port },
    ca: splitPem(DATABASE_CA),
    extraCaFile: NODE_EXTRA_CA_CERTS,
  }).load()
}
