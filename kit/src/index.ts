/**
 * Amazon RDS and Aurora with IAM database authentication on your own machine: a gateway that authenticates as
 * RDS does, in front of a real PostgreSQL, MySQL or MariaDB, a whole development database in one call, and a
 * local port through which any program reaches RDS by IAM.
 * For development and tests with the same code path as in production, and no password beside it.
 *
 * @example
 * ```ts
 * import { startDatabase } from 'rds-iam-kit'
 *
 * await using database = await startDatabase({ engine: 'postgres', users: ['orders_app'] })
 * console.log(database.environment)
 * ```
 * @module rds-iam-kit
 */
export { type Database, startDatabase } from './database/database.ts'
export type { DatabaseOptions } from './database/database-options.ts'
export { NotInstalled } from './database/not-installed.ts'
export { type Authority, type IssuedCertificate, makeAuthority } from './gateway/certificate.ts'
export type { Decision, DecisionTls, GatewayStats, RefusalReason } from './gateway/decision.ts'
export { type Gateway, startGateway } from './gateway/gateway.ts'
export type { GatewayOptions, GatewayUpstream } from './gateway/options.ts'
export type { GatewayPolicy } from './gateway/policy.ts'
export type { GatewayCredentials } from './gateway/sigv4.ts'
export {
  type CloudFormationTemplate,
  readTemplatePolicy,
  type TemplatePolicyOptions,
  type TemplateStack,
} from './gateway/template.ts'
export { parseTemplate } from './gateway/template-file.ts'
export type {
  ClientRefusedEvent,
  ProxyEvent,
  SessionClosedEvent,
  SessionFailedEvent,
  SessionOpenedEvent,
} from './proxy/events.ts'
export type { ProxyListen, ProxyOptions } from './proxy/options.ts'
export { type LocalProxy, startProxy } from './proxy/proxy.ts'
