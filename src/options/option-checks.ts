/**
 * How options are checked, all problems at once, for tools that take options of the same kind.
 *
 * @example
 * ```ts
 * import { createChecks, refuseProblems } from 'middy-rds-iam/options'
 *
 * const checks = createChecks()
 * const port = checks.port('port', process.env.PORT) ?? 5432
 * refuseProblems('startServer', checks.problems)
 * ```
 * @module middy-rds-iam/options
 */

export { pemProblem } from '../trust/pem.ts'
export { readRegion } from './address.ts'
export { type Checks, createChecks, got, gotName, refuseProblems, show } from './checks.ts'
export { readVariable } from './environment.ts'
