import type { Fault } from '../table.ts'
import { betweenFaults } from './between.ts'
import { handlerFaults } from './handler.ts'
import { invocationFaults } from './invocation.ts'
import { isolationFaults } from './isolation.ts'
import { serverFaults } from './server.ts'
import { tokenFaults } from './token.ts'

/** The table, row by row. */
export const faults: readonly Fault[] = [
  ...betweenFaults,
  ...serverFaults,
  ...tokenFaults,
  ...handlerFaults,
  ...isolationFaults,
  ...invocationFaults,
]
