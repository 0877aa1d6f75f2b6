/**
 * What AWS and SQL call things: endpoints, Regions, ARNs and quoted names. The middlewares check their
 * options by the same rules.
 *
 * @example
 * ```ts
 * import { quotePostgresName, regionOfHost } from 'middy-rds-iam/identifiers'
 *
 * regionOfHost('orders.c1x2.eu-west-1.rds.amazonaws.com') // 'eu-west-1'
 * const sql = `GRANT SELECT ON orders TO ${quotePostgresName('orders_app')}`
 * ```
 * @module middy-rds-iam/identifiers
 */
export { accountProblem, type ConnectResource, formatConnectArn, resourceIdProblem } from './arn.ts'
export { type Endpoint, type HostProblem, hostProblem, isIpAddress } from './endpoint.ts'
export {
  caBundleOf,
  isGlobalEndpoint,
  isRegionName,
  knownPartitionOf,
  partitionOf,
  partitionProblem,
  regionOfHost,
  regionProblem,
  urlSuffixOf,
} from './region.ts'
export { quoteMysqlAccount, quoteMysqlName, quotePostgresName, quotePostgresText } from './sql.ts'
export { takenNameProblem, userNameProblem } from './user-names.ts'
