/**
 * A local gateway that authenticates as Amazon RDS with IAM does, in front of a real PostgreSQL, MySQL or
 * MariaDB server: for development and tests with the same code path as in production, and no password beside it.
 *
 * @module
 */
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
} from './gateway/template.ts'
export { parseTemplate } from './gateway/template-file.ts'
