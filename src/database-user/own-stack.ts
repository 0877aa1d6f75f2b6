import { createChecks } from '../options/checks.ts'
import { TaskFailure } from './user-task.ts'

/** The server of the stack, as its template tells the functions. */
export interface OwnServer {
  /** The stack's ARN. */
  readonly stack: string
  readonly host: string
  readonly port: number
}

/** All that the stack may ask for, as its template tells the function. */
export interface OwnUser extends OwnServer {
  /** The resource's name in the template. */
  readonly resource: string
  readonly database: string
  readonly user: string
  readonly masterSecretArn: string
  /** Statements, joined by {@link separator}. */
  readonly setup: string
  readonly grants: string
}

/** What stands between two statements, and two grants, in an environment variable. */
export const separator = ';;'

/**
 * Reads which stack and which server a function is there for. A request is forged easily, by whoever may
 * invoke the function; its environment variables are the template's.
 *
 * @throws {TaskFailure} Naming every variable that is missing or wrong.
 */
export function readOwnServer(): OwnServer {
  const checks = createChecks()
  const server = {
    stack: readVariable(checks, 'STACK_ID'),
    host: checks.host('DATABASE_HOST', readVariable(checks, 'DATABASE_HOST') || undefined) ?? '',
    port: checks.port('DATABASE_PORT', readVariable(checks, 'DATABASE_PORT') || undefined) ?? 0,
  }
  refuseVariables(checks.problems)
  return server
}

/** @throws {TaskFailure} As {@link readOwnServer} does. */
export function readOwnUser(): OwnUser {
  const server = readOwnServer()
  const checks = createChecks()
  const { SETUP = '', GRANTS = '' } = process.env
  const own = {
    ...server,
    resource: readVariable(checks, 'LOGICAL_RESOURCE_ID'),
    database: readVariable(checks, 'DATABASE_NAME'),
    user: readVariable(checks, 'DATABASE_USER'),
    masterSecretArn: readVariable(checks, 'MASTER_SECRET_ARN'),
    setup: SETUP,
    grants: GRANTS,
  }
  refuseVariables(checks.problems)
  return own
}

function readVariable(checks: ReturnType<typeof createChecks>, name: string): string {
  const value = process.env[name] ?? ''
  if (value === '') checks.complain(name, 'is missing')
  return value
}

function refuseVariables(problems: readonly string[]): void {
  if (problems.length === 0) return
  throw new TaskFailure(
    `Environment variables of the function are wrong, which say what its stack may ask for: ${problems.join('; ')}`,
  )
}
