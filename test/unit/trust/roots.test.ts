import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { makeAuthority } from '../../../kit/src/index.ts'
import { loadRoots, type TrustSettings } from '../../../src/trust/roots.ts'
import { cannotSeeLoading, nodeFlags } from '../../support/node-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-roots-'))
after(() => rmSync(folder, { recursive: true }))

// Amazon RDS has il-central-1, and this package does not carry its authorities.
const region = 'il-central-1'
const nowhere = join(folder, 'none.pem')
const settings: TrustSettings = {
  region,
  endpoint: { host: `orders.c1x2.${region}.rds.amazonaws.com`, port: 5432 },
  ca: [],
  extraCaFile: undefined,
}

const makeRoot = async (name: string): Promise<string> => (await makeAuthority(name)).ca
// Nothing is awaited further down: the tests above it would end without those below, and the folder go with them.
const [own, other, foreign, dublin] = await Promise.all([
  makeRoot(`Amazon RDS ${region} Root CA RSA2048 G1`),
  makeRoot('Amazon RDS ap-southeast-5 Root CA RSA2048 G1'),
  makeRoot('Gateway'),
  makeRoot('Amazon RDS eu-west-1 Root CA RSA2048 G1'),
])

function write(name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

const nameOf = (pem: string) => /CN=(.*)/.exec(new X509Certificate(pem).subject)?.[1]
const namesOf = (roots: readonly string[]) => roots.map(nameOf).sort()

const amazonNames = [
  'Amazon Root CA 1',
  'Amazon Root CA 2',
  'Amazon Root CA 3',
  'Amazon Root CA 4',
  'Starfield Services Root Certificate Authority - G2',
]
const ownName = `Amazon RDS ${region} Root CA RSA2048 G1 CA`

for (const carried of ['eu-west-1', 'us-east-1', 'ap-northeast-3']) {
  test(`trusts the authorities of RDS in ${carried} and of Amazon Trust Services, and no others`, async () => {
    const endpoint = { host: `orders.c1x2.${carried}.rds.amazonaws.com`, port: 5432 }
    const files = { extraCaFile: write('extra.pem', foreign) }
    const roots = await loadRoots({ ...settings, ...files, region: carried, endpoint }, write('run.pem', own))
    assert.deepEqual(namesOf(roots), [
      ...['ECC384', 'RSA2048', 'RSA4096'].map(kind => `Amazon RDS ${carried} Root CA ${kind} G1`),
      ...amazonNames,
    ])
  })
}

test('adds the authorities of `tls.ca` to those of the Region', async () => {
  const roots = await loadRoots({ ...settings, region: 'eu-west-1', ca: [foreign] }, nowhere)
  assert.equal(roots.length, 9)
  assert.ok(namesOf(roots).includes('Gateway CA'))
})

test('takes a Region that is not carried from Lambda’s runtime, and of that file only the Region’s', async () => {
  const roots = await loadRoots(settings, write('runtime.pem', `# RDS\n${other}${own}\n${foreign}`))
  assert.deepEqual(namesOf(roots), [ownName, ...amazonNames])
})

test('takes such a Region from NODE_EXTRA_CA_CERTS where the runtime has no file', async () => {
  const extraCaFile = write('extra.pem', `${other}${own}`)
  const roots = await loadRoots({ ...settings, extraCaFile }, nowhere)
  assert.deepEqual(namesOf(roots), [ownName, ...amazonNames])
})

test('takes such a Region from NODE_EXTRA_CA_CERTS where the runtime’s file has others', async () => {
  const extraCaFile = write('extra.pem', own)
  const roots = await loadRoots({ ...settings, extraCaFile }, write('runtime.pem', `${other}${foreign}`))
  assert.deepEqual(namesOf(roots), [ownName, ...amazonNames])
})

test('prefers the runtime’s file to NODE_EXTRA_CA_CERTS', async () => {
  const extraCaFile = write('extra.pem', foreign)
  const roots = await loadRoots({ ...settings, extraCaFile }, write('runtime.pem', own))
  assert.deepEqual(namesOf(roots), [ownName, ...amazonNames])
})

test('takes an authority of any name from NODE_EXTRA_CA_CERTS, which the operator set', async () => {
  const roots = await loadRoots({ ...settings, extraCaFile: write('extra.pem', foreign) }, nowhere)
  assert.deepEqual(namesOf(roots), [...amazonNames, 'Gateway CA'].sort())
})

/** Loads the authorities, and keeps what is said where those of the Region are missing. */
async function loadAndListen(given: Partial<TrustSettings>, runtimeFile = nowhere) {
  const said: string[] = []
  const roots = await loadRoots({ ...settings, ...given }, runtimeFile, remedy => void said.push(remedy))
  return { names: namesOf(roots), said }
}

for (const [title, runtimeFile, extraCaFile] of [
  ['neither file', nowhere, undefined],
  ['a runtime’s file with other Regions alone', write('others.pem', `${other}${foreign}`), undefined],
  ['a file without certificates', nowhere, write('empty.pem', 'no certificate here')],
] as const) {
  test(`trusts Amazon Trust Services alone for a Region that is not carried, with ${title}, and says what to pass`, async () => {
    const { names, said } = await loadAndListen({ extraCaFile }, runtimeFile)
    assert.deepEqual(names, amazonNames)
    assert.deepEqual(said, [
      `No certificate authorities of Amazon RDS are known for il-central-1 (${settings.endpoint.host}): this package carries none ` +
        'for that Region, and neither /var/runtime/ca-cert.pem nor NODE_EXTRA_CA_CERTS gives any. Only those of Amazon Trust Services ' +
        'are trusted. If the server is refused, pass the text of ' +
        'https://truststore.pki.rds.amazonaws.com/il-central-1/il-central-1-bundle.pem as `tls.ca` (on the command line, its file by `--ca-file`).',
    ])
  })
}

// Each partition has a trust store of its own.
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html#UsingWithRDS.SSL.CertificatesAllRegions
for (const [name, host, bundle] of [
  [
    'us-gov-east-1',
    'orders.c1x2.us-gov-east-1.rds.amazonaws.com',
    'https://truststore.pki.us-gov-west-1.rds.amazonaws.com/us-gov-east-1/us-gov-east-1-bundle.pem',
  ],
  [
    'cn-north-1',
    'orders.c1x2.rds.cn-north-1.amazonaws.com.cn',
    'https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/cn-north-1/cn-north-1-bundle.pem',
  ],
  [
    'eusc-de-east-1',
    'orders.c1x2.eusc-de-east-1.rds.amazonaws.eu',
    'the certificate bundle that the documentation of RDS in eusc-de-east-1 names (Using SSL/TLS)',
  ],
  [
    'xx-future-1',
    'orders.c1x2.xx-future-1.rds.amazonaws.com',
    'the certificate bundle that the documentation of RDS in xx-future-1 names (Using SSL/TLS)',
  ],
] as const) {
  test(`names the bundle of ${name}, which is in a store of its partition`, async () => {
    const endpoint = { host, port: 5432 }
    const { names, said } = await loadAndListen({ region: name, endpoint })
    assert.deepEqual(names, amazonNames)
    assert.equal(said.length, 1)
    assert.ok(said[0]?.includes(` pass the text of ${bundle} as \`tls.ca\` (`), said[0])
  })
}

test('takes `tls.ca` for a Region that is not carried', async () => {
  assert.deepEqual(await loadAndListen({ ca: [own] }), { names: [ownName, ...amazonNames], said: [] })
})

test('needs no authorities of RDS for RDS Proxy, whose certificates come from Amazon Trust Services', async () => {
  const endpoint = { host: `orders.proxy-c1x2.${region}.rds.amazonaws.com`, port: 5432 }
  assert.deepEqual(await loadAndListen({ endpoint }), { names: amazonNames, said: [] })
})

test('does not take an instance that is called proxy for RDS Proxy', async () => {
  const endpoint = { host: `proxy-orders.c1x2.${region}.rds.amazonaws.com`, port: 5432 }
  assert.equal((await loadAndListen({ endpoint })).said.length, 1)
})

test('takes a Region that nobody knows yet from Lambda’s runtime, which is newer than this package', async () => {
  const region = 'xx-future-1'
  const future = await makeRoot(`Amazon RDS ${region} Root CA RSA2048 G1`)
  const { names, said } = await loadAndListen({ region }, write('future.pem', `${own}${future}`))
  assert.deepEqual([names, said], [[...amazonNames, `Amazon RDS ${region} Root CA RSA2048 G1 CA`].sort(), []])
})

test('trusts the authorities of RDS in every Region where the writer may be in any, each once', async () => {
  const { regions } = await import('middy-rds-iam/roots')
  const carriedHere = await loadRoots({ ...settings, region: 'eu-west-1' }, nowhere)
  const beta = await makeRoot('Amazon RDS Beta us-east-1 Root CA RSA2048 G1')
  const inOtherLines = carriedHere.map(pem => pem.replaceAll('\n', '\r\n')).join('')
  const newer = await makeRoot('Amazon RDS xx-future-1 Root CA RSA2048 G1')
  const runtimeFile = write('global.pem', `${inOtherLines}${own}${newer}${foreign}${beta}`)
  const { names, said } = await loadAndListen({ everyRegion: true }, runtimeFile)
  const carried = regions.flatMap(name =>
    ['ECC384', 'RSA2048', 'RSA4096'].map(kind => `Amazon RDS ${name} Root CA ${kind} G1`),
  )
  const newerName = 'Amazon RDS xx-future-1 Root CA RSA2048 G1 CA'
  assert.deepEqual([names, said], [[...carried, ownName, newerName, ...amazonNames].sort(), []])
})

const variable = 'PGSSLROOTCERT'

test('adds the authorities of files that the environment names', async () => {
  const caFiles = [
    { variable, path: write('one.pem', `# one\n${foreign}`) },
    { variable: 'MYSQL_SSL_CA', path: write('two.pem', `${own}${other}`) },
  ]
  const { names, said } = await loadAndListen({ caFiles, region: 'eu-west-1' })
  assert.equal(names.length, 8 + 3)
  for (const pem of [foreign, own, other]) assert.ok(names.includes(nameOf(pem)))
  assert.deepEqual(said, [])
})

test('names the variable whose file cannot be read, or holds no certificates, and says what to do', async () => {
  const load = (path: string) => loadRoots({ ...settings, caFiles: [{ variable, path }] }, nowhere)
  const remedy = 'Have it name a file of certificates in PEM, or unset it\\.$'
  await assert.rejects(load(nowhere), (error: Error & { readonly code?: string }) => {
    assert.equal(error.code, 'RDS_IAM_TRUST')
    assert.match(
      error.message,
      new RegExp(
        `^The environment variable PGSSLROOTCERT names a file that cannot be read: ENOENT.*${remedy}`,
      ),
    )
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENOENT')
    return true
  })
  await assert.rejects(load(write('wrong.pem', 'nothing')), {
    code: 'RDS_IAM_TRUST',
    message: new RegExp(
      `PGSSLROOTCERT names a file \\(.*wrong\\.pem\\) that holds no certificate; .*${remedy}`,
    ),
  })
})

test('warns of missing authorities in the process’s own way where nobody else listens', async t => {
  const warnings: unknown[] = []
  t.mock.method(process, 'emitWarning', (...given: unknown[]) => void warnings.push(given))
  await loadRoots(settings, nowhere)
  assert.equal(warnings.length, 1)
  assert.deepEqual((warnings[0] as unknown[])[1], { type: 'RdsIamWarning', code: 'RDS_IAM_TRUST' })
  assert.match(String(warnings), /^No certificate authorities of Amazon RDS are known for il-central-1/)
})

/**
 * Bundles, and runs the bundle in a folder where nothing that it leaves out can be resolved.
 *
 * @param with.ca An expression for the authorities that are added; `imports` is what it needs to import.
 */
async function loadInBundle(
  bundled: TrustSettings,
  runtimeFile: string,
  {
    external = ['middy-rds-iam/roots'],
    imports = '',
    ca = '[]',
    format = 'esm',
  }: { external?: readonly string[]; imports?: string; ca?: string; format?: 'esm' | 'cjs' } = {},
): Promise<readonly string[]> {
  const outfile = join(folder, format === 'esm' ? 'bundle.mjs' : 'bundle.cjs')
  await build({
    stdin: {
      contents: `import { loadRoots } from './src/trust/roots.ts'
        ${imports}
        const [settings, runtimeFile] = JSON.parse(process.argv[2])
        loadRoots({ ...settings, ca: ${ca} }, runtimeFile).then(
          roots => console.log(JSON.stringify(roots)),
          error => console.log(JSON.stringify([error.code ?? 'no code', error.message])),
        )`,
      resolveDir: new URL('../../..', import.meta.url).pathname,
    },
    external: [...external],
    bundle: true,
    platform: 'node',
    format,
    // A module of CommonJS may be made to require what is imported here.
    supported: { 'dynamic-import': format === 'esm' },
    outfile,
  })
  const args = [outfile, JSON.stringify([bundled, runtimeFile])]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder })
  return JSON.parse(stdout)
}

const inDublin: TrustSettings = {
  ...settings,
  region: 'eu-west-1',
  endpoint: { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 },
}
const dublinNames = ['Amazon RDS eu-west-1 Root CA RSA2048 G1 CA', ...amazonNames]

test('reads the runtime’s file where a bundle leaves the roots out', async () => {
  const roots = await loadInBundle(inDublin, write('runtime.pem', `${other}${dublin}`))
  assert.deepEqual(namesOf(roots), dublinNames)
})

test('reads NODE_EXTRA_CA_CERTS where a bundle leaves the roots out', async () => {
  const extraCaFile = write('extra.pem', dublin)
  assert.deepEqual(namesOf(await loadInBundle({ ...inDublin, extraCaFile }, nowhere)), dublinNames)
})

test('says so where a bundle leaves the roots out and nothing takes their place', async () => {
  for (const format of ['esm', 'cjs'] as const) {
    const [code, message] = await loadInBundle(inDublin, nowhere, { format })
    assert.equal(code, 'RDS_IAM_TRUST')
    assert.match(
      message ?? '',
      /leaves those of this package out, .* Pass the text of https:.*eu-west-1-bundle\.pem as `tls\.ca`\.$/,
    )
  }
})

test('does not take a module that is broken for one that was left out', async t => {
  const broken = join(folder, 'node_modules', 'middy-rds-iam')
  t.after(() => rmSync(broken, { recursive: true }))
  mkdirSync(join(broken, 'roots'), { recursive: true })
  writeFileSync(join(broken, 'package.json'), '{ "exports": { "./roots/*": "./roots/*.mjs" } }')
  writeFileSync(join(broken, 'roots', 'index.mjs'), 'throw new Error("the file was cut")')
  assert.deepEqual(await loadInBundle(inDublin, write('runtime.pem', dublin)), [
    'no code',
    'the file was cut',
  ])
})

const carriedNames = [
  ...['ECC384', 'RSA2048', 'RSA4096'].map(kind => `Amazon RDS eu-west-1 Root CA ${kind} G1`),
  ...amazonNames,
]

test('finds the Region’s authorities in a bundle of everything', async () => {
  assert.deepEqual(namesOf(await loadInBundle(inDublin, nowhere, { external: [] })), carriedNames)
})

test('takes the one Region that a bundle imports, where it leaves the list of all Regions out', async () => {
  const imports = `import { roots } from 'middy-rds-iam/roots/eu-west-1'`
  const external = ['middy-rds-iam/roots/index']
  assert.deepEqual(
    namesOf(await loadInBundle(inDublin, nowhere, { external, imports, ca: 'roots' })),
    carriedNames,
  )
  const text = readFileSync(join(folder, 'bundle.mjs'), 'utf8')
  assert.equal(text.match(/BEGIN CERTIFICATE-----\n/g)?.length, 3)
})

test('loads no Region’s authorities but the endpoint’s from node_modules', {
  skip: cannotSeeLoading,
}, async () => {
  const program = `import { registerHooks } from 'node:module'
    const urls = []
    registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
    const { loadRoots } = await import(process.argv[1])
    await loadRoots(JSON.parse(process.argv[2]))
    console.log(JSON.stringify(urls.filter(url => url.includes('/roots/')).map(url => url.replace(/.*\\//, ''))))`
  const module = new URL('../../../src/trust/roots.ts', import.meta.url).href
  const args = ['--input-type=module', '--eval', program, module, JSON.stringify(inDublin)]
  const { stdout } = await promisify(execFile)(process.execPath, [...nodeFlags, ...args])
  assert.deepEqual(JSON.parse(stdout), ['index.js', 'eu-west-1.js'])
})
