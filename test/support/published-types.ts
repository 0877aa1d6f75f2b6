import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The ways in which a compiler finds the declarations of a package. */
export const resolutions = [
  { module: 'nodenext', moduleResolution: 'nodenext' },
  { module: 'node16', moduleResolution: 'node16' },
  { module: 'esnext', moduleResolution: 'bundler' },
] as const

interface Compiler {
  /** The file that Node.js runs. */
  readonly tsc: string
  readonly lib?: readonly string[]
  readonly skipLibCheck?: boolean
}

/** What the compiler has to say of a module of the project's own, and of the declarations of this package. */
export async function compile(
  cwd: string,
  resolution: (typeof resolutions)[number],
  source: string,
  { tsc, lib = ['es2023', 'esnext.disposable'], skipLibCheck = false }: Compiler,
): Promise<string[]> {
  writeFileSync(join(cwd, 'module.ts'), source)
  writeFileSync(
    join(cwd, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        ...resolution,
        target: 'es2022',
        lib,
        types: existsSync(join(cwd, 'node_modules', '@types', 'node')) ? ['node'] : [],
        strict: true,
        noUncheckedIndexedAccess: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck,
        noEmit: true,
      },
      files: ['module.ts'],
    }),
  )
  const { stdout } = await run(process.execPath, [tsc, '-p', cwd, '--pretty', 'false'], { cwd }).catch(
    (error: { stdout: string }) => error,
  )
  const isForeign = (line: string) => /^\s|node_modules\/(?!(middy-rds-iam|rds-iam-kit)\/)/.test(line)
  return stdout.split('\n').filter(line => line !== '' && !isForeign(line))
}

/** What a strict project of a function may write, and what it may not. */
export const functionSource = `
  import middy from '@middy/core'
  import { checkPolicy, connectPolicy, createUserSql, RdsIamError, type RdsIamErrorCode } from 'middy-rds-iam'
  import { diagnoseMysql } from 'middy-rds-iam/diagnose/mysql2'
  import { type DiagnosisReport, diagnosePg, formatReport } from 'middy-rds-iam/diagnose/pg'
  import { iamMysql, iamMysqlPool } from 'middy-rds-iam/mysql2'
  import { type IamPgOptions, iamPg, iamPgPool, type RdsIamOptions } from 'middy-rds-iam/pg'
  import { amazonRoots, loadRegionRoots, regions } from 'middy-rds-iam/roots'
  import { roots } from 'middy-rds-iam/roots/eu-west-1'

  const options: IamPgOptions = { host: 'localhost', client: { statement_timeout: 2000 }, tls: { ca: roots } }
  export const handler = middy()
    .use(iamPg(options))
    .use(iamPgPool({ contextKey: 'reports', max: 2 }))
    .handler(async (_event, context) => {
      const { rows } = await context.db.query('select 1')
      const { rowCount } = await context.reports.query('select 1')
      // @ts-expect-error: this key was never given
      context.orders
      // @ts-expect-error: the client is no any
      context.db.nonsense
      return [rows, rowCount]
    })
  export const mysqlHandler = middy()
    .use(iamMysql({ client: { multipleStatements: true } }))
    .use(iamMysqlPool({ contextKey: 'reports', max: 2 }))
    .handler(async (_event, context) => {
      const [rows] = await context.db.query('select 1')
      const connection = await context.reports.getConnection()
      // @ts-expect-error: the connection is no any
      context.db.nonsense
      return [rows, connection]
    })
  // @ts-expect-error: TLS cannot be weakened
  iamMysql({ client: { ssl: {} } })
  // @ts-expect-error: TLS cannot be weakened
  iamPg({ client: { ssl: false } })
  // @ts-expect-error: a misspelled option
  iamPg({ hots: 'localhost' })
  // @ts-expect-error: a port is a number
  const wrong: RdsIamOptions = { port: '5432' }
  export const code: RdsIamErrorCode = new RdsIamError('RDS_IAM_TRUST', 'no').code
  export const report: Promise<DiagnosisReport> = diagnosePg(options).then(report => {
    console.log(formatReport(report), report.steps[0]?.finding)
    return report
  })
  export const mysqlReport: Promise<DiagnosisReport> = diagnoseMysql({ client: { charset: 'utf8mb4' } })
  // @ts-expect-error: a misspelled option
  diagnosePg({ hots: 'localhost' })
  export const authorities: readonly string[] = [...(await loadRegionRoots(regions[0] ?? 'eu-west-1')), ...amazonRoots]
  // @ts-expect-error: RDS has no such Region
  export type Nowhere = typeof import('middy-rds-iam/roots/eu-west-9')
  const policy = connectPolicy({ region: 'eu-west-1', accountId: '123456789012', resourceId: 'db-X', user: ['a', 'b'] })
  export const action: 'rds-db:connect' | undefined = policy.Statement[0]?.Action
  export const places: readonly string[] = checkPolicy(policy, { resourceId: 'db-X', user: 'a' }).problems.map(({ at }) => at)
  // @ts-expect-error: MariaDB is mysql
  export const sql: readonly string[] = createUserSql({ engine: 'mariadb', user: 'a' })
  export { wrong }
`

/** The same of a project that has the kit. */
export const kitSource = `
  import { type Gateway, startGateway } from 'rds-iam-kit'
  export const gateway: Promise<Gateway> = startGateway({ upstream: { port: 5432 }, region: 'eu-west-1' })
  // @ts-expect-error: a misspelled option
  startGateway({ upstraem: { port: 5432 } })
`

/** The same of a project without middy, a driver or `@types/node`. */
export const bareSource = `
  import { createTokenSource, type RdsIamEvent } from 'middy-rds-iam'
  import { loadRegionRoots } from 'middy-rds-iam/roots'
  export const token: () => Promise<string> = createTokenSource({ host: 'localhost', port: 5432, user: 'a' })
  export const roots: Promise<readonly string[]> = loadRegionRoots('eu-west-1')
  export const nameOf = (event: RdsIamEvent): string => event.event
`
