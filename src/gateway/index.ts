/**
 * A local gateway that authenticates as Amazon RDS with IAM does, in front of a real PostgreSQL, MySQL or
 * MariaDB server: for development and tests with the same code path as in production, and no password beside it.
 *
 * @module
 */
export { type Authority, type IssuedCertificate, makeAuthority } from './certificate.ts'
export type { Decision, DecisionTls, GatewayStats, RefusalReason } from './decision.ts'
export { type Gateway, startGateway } from './gateway.ts'
export type { GatewayOptions, GatewayUpstream } from './options.ts'
export type { GatewayPolicy } from './policy.ts'
export type { GatewayCredentials } from './sigv4.ts'
export { type CloudFormationTemplate, readTemplatePolicy, type TemplatePolicyOptions } from './template.ts'
export { parseTemplate } from './template-file.ts'
