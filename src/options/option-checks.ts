/**
 * How options are checked, all problems at once, for tools that take options of the same kind.
 *
 * @module
 */

export { pemProblem } from '../trust/pem.ts'
export { readRegion } from './address.ts'
export { type Checks, createChecks, got, gotName, refuseProblems, show } from './checks.ts'
export { readVariable } from './environment.ts'
