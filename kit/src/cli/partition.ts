import { isRegionName, knownPartitionOf, partitionOf } from 'middy-rds-iam/identifiers'
import { warn } from './arguments.ts'

/** The flag for a Region that is not known yet. */
export const partitionFlag = { partition: { type: 'string' } } as const

/** Says that a partition is a guess, where it is. A wrong Region, the options refuse. */
export function warnOfGuess(region: string | undefined, partition: string | undefined): void {
  if (region === undefined || partition !== undefined || !isRegionName(region)) return
  if (knownPartitionOf(region) !== undefined) return
  warn(
    `the Region ${region} is not known here; its partition is taken to be ${partitionOf(region)}: give --partition where it is another`,
  )
}
