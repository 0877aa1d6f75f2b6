import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { EventDetail } from '../events/emit.ts'
import type { RegionAssumedEvent, RegionMovedEvent } from '../events/events.ts'
import { regionOfHost } from '../identifiers/region.ts'

/** What is told of a Region that is looked for. */
export type RegionDetail = EventDetail<RegionAssumedEvent | RegionMovedEvent>

/** What finding the Region of a global database's writer takes. */
export interface WriterRegionParts {
  /** The writer endpoint, for example `orders.global-c1x2.global.rds.amazonaws.com`. */
  readonly host: string
  /** The Region to take where DNS does not tell it, if there is one. */
  readonly fallback: string | undefined
  readonly tell: (detail: RegionDetail) => void
  /** Asks for the aliases of a name. @default the DNS servers of this process, for about two seconds */
  readonly resolveCname?: ((name: string) => Promise<readonly string[]>) | undefined
}

/** Chains of aliases are allowed, circles are an error: https://www.rfc-editor.org/rfc/rfc1034#section-3.6.2 */
const mostAliases = 8

/**
 * Makes a function that finds out in which Region the writer of a global database is now. Its writer endpoint
 * is an alias of the primary cluster's endpoint, whose name tells the Region. One question serves however many
 * callers wait for the answer, and no answer is kept: the writer may have moved.
 *
 * @throws {RdsIamError} `RDS_IAM_UNREACHABLE` from the function, where DNS does not tell and nothing else does.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-connecting.html
 */
export function createWriterRegion(parts: WriterRegionParts): () => Promise<string> {
  const { host, fallback, tell, resolveCname = askServers } = parts
  let known: string | undefined
  let isAssumed = false
  let pending: Promise<string> | undefined

  const find = async (): Promise<string> => {
    const { region, observed } = await followAliases(host, resolveCname)
    if (region !== undefined) {
      if (known !== undefined && known !== region) tell({ event: 'region:moved', from: known, to: region })
      known = region
      isAssumed = false
      return region
    }
    const likely = known ?? fallback
    if (likely === undefined) throw unknownRegion(host, observed)
    if (!isAssumed) tell({ event: 'region:assumed', region: likely, observed })
    isAssumed = true
    return likely
  }

  return () => {
    pending ??= find().finally(() => {
      pending = undefined
    })
    return pending
  }
}

/** The Region where a name leads; without one, what was seen in its place. */
async function followAliases(
  host: string,
  resolveCname: (name: string) => Promise<readonly string[]>,
): Promise<{ readonly region?: string | undefined; readonly observed: string }> {
  let name = host
  try {
    for (let count = 0; count < mostAliases; count += 1) {
      const [alias] = await resolveCname(name)
      if (alias === undefined) break
      name = alias.toLowerCase()
      const region = regionOfHost(name)
      if (region !== undefined) return { region, observed: name }
    }
  } catch (error) {
    return { observed: error instanceof Error ? error.message : String(error) }
  }
  return { observed: `${host} leads to ${name}, whose name tells no Region` }
}

/** Asks the DNS servers that this process asks for everything else, but for a shorter time. */
async function askServers(name: string): Promise<readonly string[]> {
  // An import at the top would, in a bundle of one file, be loaded by every function: two milliseconds. Not one of
  // `getServers` either, which would stay that of the servers before `dns.setServers`.
  const { getServers, promises } = process.getBuiltinModule('node:dns')
  const resolver = new promises.Resolver({ timeout: 650, tries: 2 })
  resolver.setServers(getServers())
  return resolver.resolveCname(name)
}

function unknownRegion(host: string, observed: string): RdsIamError {
  return new RdsIamError(
    'RDS_IAM_UNREACHABLE',
    `DNS does not tell in which Region the writer of ${host} is: ${observed}.`,
    {
      remedy:
        'Check the DNS settings of the VPC, and that the name is spelled right; or give the Region that the writer is in as `region`.',
    },
  )
}
