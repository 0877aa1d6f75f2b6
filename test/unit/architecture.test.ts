import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..', '..')

/** The folders of `src/`: a file may import from its own folder and from those above it in this list. */
const order = [
  ...['identifiers', 'time', 'errors', 'token', 'trust', 'events', 'options', 'access', 'retries', 'drivers'],
  ...[
    'connection',
    'standalone',
    'middleware',
    'policy',
    'users',
    'diagnose',
    'database-user',
    'bundling',
    '.',
    'sample',
  ],
]

/** What the kit's folders may import of each other. Of `src/` it has only what the package exports. */
const kit: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  gateway: ['wire'],
  proxy: ['wire'],
  database: ['gateway'],
  '.': ['gateway', 'proxy', 'database'],
  cli: ['.', 'gateway', 'proxy', 'database'],
}

/** Packages that one folder alone may import. */
const homes: Readonly<Record<string, RegExp>> = {
  '^pg($|/)': /^(options|drivers|diagnose|database-user|sample|\.)$/,
  '^mysql2($|/)': /^(options|drivers|diagnose|database-user|sample|\.)$/,
  '^@aws-sdk/(rds-signer|credential-providers)$': /^token$/,
  '^@aws-sdk/client-': /^database-user$/,
  '^@smithy/': /^$/,
  '^esbuild$': /^bundling$/,
  '^@aws-lambda-powertools/': /^sample$/,
  '^@middy/': /^(middleware|sample)$/,
  '^middy-rds-iam': /^(trust|bundling|sample)$/,
}

const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')

/** Everything that a file imports, re-exports or names in a type, statically or not. */
function importsOf(file: string): string[] {
  const text = withoutComments(readFileSync(join(root, file), 'utf8'))
  const specifiers = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*|declare\s+module\s+)(['"])([^'"]+)\1/g
  return [...text.matchAll(specifiers)].map(match => match[2] ?? '')
}

const ownImportsOf = (file: string) =>
  importsOf(file)
    .filter(specifier => specifier.startsWith('.'))
    .map(specifier => normalize(join(dirname(file), specifier)))

const folderOf = (file: string, of: string) => {
  const [folder = '', ...rest] = file.slice(of.length + 1).split('/')
  return rest.length === 0 ? '.' : folder
}

const filesOf = (of: string) => globSync(`${of}/**/*.ts`, { cwd: root }).sort()

test('src has three entries at its root, and a place in the order for each folder', () => {
  const files = filesOf('src')
  const atRoot = files.filter(file => folderOf(file, 'src') === '.')
  assert.deepEqual(atRoot, ['src/index.ts', 'src/mysql2.ts', 'src/pg.ts'])
  assert.deepEqual([...new Set(files.map(file => folderOf(file, 'src')))].sort(), [...order].sort())
  assert.ok(ownImportsOf('src/token/signer.ts').includes('src/token/sdk-signer.ts'), 'dynamic imports count')
})

test('imports run one way in src, from the folders below to those above', () => {
  for (const file of filesOf('src')) {
    const folder = folderOf(file, 'src')
    for (const imported of ownImportsOf(file)) {
      assert.ok(imported.startsWith('src/'), `${file} imports ${imported}`)
      const place = order.indexOf(folderOf(imported, 'src'))
      assert.ok(place >= 0 && place <= order.indexOf(folder), `${file} imports ${imported}`)
    }
  }
})

test('the sample imports nothing but itself and packages by name, so that it can be copied', () => {
  for (const file of filesOf('src/sample'))
    for (const imported of ownImportsOf(file))
      assert.match(imported, /^src\/sample\//, `${file} imports ${imported}`)
})

test('imports run one way in the kit, which verifies tokens without the code that signs them', () => {
  for (const file of filesOf('kit/src')) {
    const folder = folderOf(file, 'kit/src')
    for (const imported of ownImportsOf(file)) {
      const from = folderOf(imported, 'kit/src')
      assert.ok(imported.startsWith('kit/src/'), `${file} imports ${imported}`)
      assert.ok(from === folder || kit[folder]?.includes(from), `${file} imports ${imported}`)
    }
    // Its tokens are checked by code of its own, or the signer would be proved against itself.
    if (folder === 'gateway')
      for (const specifier of importsOf(file))
        assert.doesNotMatch(specifier, /^middy-rds-iam\/(?!identifiers$|policy$|options$)|^@aws-sdk/, file)
  }
})

test('no circle of imports', () => {
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `a circle: ${[...path, file].join(' > ')}`)
    if (done.has(file)) return
    for (const imported of ownImportsOf(file)) visit(imported, [...path, file])
    done.add(file)
  }
  for (const file of [...filesOf('src'), ...filesOf('kit/src')]) visit(file, [])
})

test('a package is imported by the folders whose job it is', () => {
  for (const file of filesOf('src'))
    for (const specifier of importsOf(file))
      for (const [name, home] of Object.entries(homes))
        if (new RegExp(name).test(specifier))
          assert.match(folderOf(file, 'src'), home, `${file} imports ${specifier}`)
})

test('a middleware loads neither policies, users nor the diagnosis', () => {
  const reached = new Set<string>()
  const visit = (file: string): void => {
    if (reached.has(file)) return
    reached.add(file)
    ownImportsOf(file).forEach(visit)
  }
  for (const entry of ['src/pg.ts', 'src/mysql2.ts']) visit(entry)
  assert.ok(reached.has('src/token/sdk-signer.ts'))
  for (const file of reached)
    assert.doesNotMatch(file, /^src\/(policy|users|diagnose|database-user|bundling|index)/, file)
})

test('the environment is read in one file for credentials and in one for everything else', () => {
  const readers = ['src/options/environment.ts', 'src/token/credentials.ts']
  for (const file of filesOf('src')) {
    const text = withoutComments(readFileSync(join(root, file), 'utf8'))
    const reads = /\bprocess\s*\??\.\s*env\b|\benv\b.*from 'node:process'/.test(text)
    // The sample and the handlers are functions, whose settings come by the environment.
    if (!/^src\/(sample|database-user)\//.test(file)) assert.equal(reads, readers.includes(file), file)
  }
})
