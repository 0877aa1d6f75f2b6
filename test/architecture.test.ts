import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

const source = new URL('../src/', import.meta.url).pathname

// A file may import from the lines below its own, and, inside a folder, from the folder. A new file has to find its line here.
const order: readonly (readonly string[])[] = [
  ['cli.ts'],
  ['cli/'],
  ['diagnose/'],
  ['index.ts', 'pg.ts', 'mysql2.ts'],
  ['assembly.ts'],
  ['middleware.ts', 'shutdown.ts'],
  ['connection/'],
  ['drivers/'],
  ['retries.ts'],
  ['token/'],
  ['trust/'],
  ['report.ts'],
  ['engines/'],
  ['settings.ts'],
  ['address.ts', 'observers.ts'],
  ['policy-check.ts'],
  ['policy-verdict.ts'],
  ['policy-mistakes.ts'],
  ['policy.ts', 'users.ts'],
  ['policy-resource.ts', 'user-names.ts'],
  ['checks.ts', 'environment.ts', 'pem.ts', 'deadline.ts', 'backoff.ts', 'clock.ts'],
  ['options.ts'],
  ['diagnosis.ts'],
  ['failures/'],
  ['policy-document.ts', 'sql.ts'],
  ['arn.ts'],
  ['endpoint.ts', 'events.ts'],
  ['errors.ts'],
]

/**
 * What stands beside the order, and all that it may import. The gateway verifies tokens by itself, or its tests would prove the signer
 * against itself. Policies nobody evaluates but the gateway and `checkPolicy`, and there is one right answer: both read them by the
 * same file, so that what is checked here is what is refused there.
 */
const aside: Readonly<Record<string, readonly string[]>> = {
  'gateway/': ['errors.ts', 'endpoint.ts', 'arn.ts', 'policy-document.ts'],
  // The database user is created over the TLS that the middlewares connect by, and its name is quoted as the helpers quote it.
  'sample/': [
    ...['index.ts', 'pg.ts', 'mysql2.ts', 'diagnose/pg.ts', 'diagnose/mysql2.ts'],
    ...['users.ts', 'user-names.ts', 'sql.ts', 'trust/', 'checks.ts', 'pem.ts', 'endpoint.ts'],
  ],
}

const environmentReaders = ['environment.ts', 'gateway/cli.ts']

const files = globSync('**/*.ts', { cwd: source }).sort()
const textOf = (file: string) => readFileSync(join(source, file), 'utf8')
const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')

/** Everything that a file imports, re-exports or names in a type, statically or not. */
function importsOf(file: string): string[] {
  const text = withoutComments(textOf(file))
  const specifiers = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*|declare\s+module\s+)(['"])([^'"]+)\1/g
  return [...text.matchAll(specifiers)].map(match => match[2] ?? '')
}

const ownImportsOf = (file: string) =>
  importsOf(file)
    .filter(specifier => specifier.startsWith('.'))
    .map(specifier => normalize(join(dirname(file), specifier)))

const stands = (file: string, place: string) =>
  place.endsWith('/') ? file.startsWith(place) : file === place
const lineOf = (file: string) => order.findIndex(places => places.some(place => stands(file, place)))
const asideOf = (file: string) => Object.keys(aside).find(place => stands(file, place))

test('finds the files and their imports', () => {
  assert.ok(
    files.includes('pg.ts') && files.includes('token/signer.ts') && files.includes('gateway/index.ts'),
  )
  assert.ok(ownImportsOf('token/signer.ts').includes('token/environment-signer.ts'), 'a dynamic import')
  assert.ok(ownImportsOf('index.ts').includes('errors.ts'), 'a re-export')
  assert.ok(importsOf('trust/roots.ts').includes('middy-rds-iam/roots'), 'an import of a package')
})

test('has a place for every file, and a file for every place', () => {
  for (const file of files) {
    assert.ok(
      lineOf(file) >= 0 !== (asideOf(file) !== undefined),
      `${file} has no place in the order of imports`,
    )
  }
  for (const place of [...order.flat(), ...Object.keys(aside)]) {
    assert.ok(
      files.some(file => stands(file, place)),
      `${place} stands in the order of imports and does not exist`,
    )
  }
})

for (const file of files) {
  test(`src/${file} imports from below only`, () => {
    for (const imported of ownImportsOf(file)) {
      assert.ok(files.includes(imported), `${imported} is not a file of src/`)
      const place = asideOf(file)
      if (place !== undefined) {
        const allowed = [place, ...(aside[place] ?? [])]
        assert.ok(
          allowed.some(place => stands(imported, place)),
          `may not import ${imported}`,
        )
      } else {
        const isNeighbour = dirname(file) !== '.' && dirname(file) === dirname(imported)
        assert.ok(isNeighbour || lineOf(imported) > lineOf(file), `may not import ${imported}`)
      }
    }
  })
}

test('has no circle of imports', () => {
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `a circle: ${[...path, file].join(' > ')}`)
    if (done.has(file)) return
    for (const imported of ownImportsOf(file)) visit(imported, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
})

test('loads neither the policy and user helpers, the diagnosis nor the command line with a middleware', () => {
  const reached = new Set<string>()
  const visit = (file: string): void => {
    if (reached.has(file)) return
    reached.add(file)
    ownImportsOf(file).forEach(visit)
  }
  for (const entry of ['pg.ts', 'mysql2.ts']) visit(entry)
  assert.ok(reached.has('sql.ts') && reached.has('token/sdk-signer.ts'))
  for (const file of reached) assert.doesNotMatch(file, /^(policy|user|cli|index|diagnose)/, file)
})

test('gets a driver, the AWS SDK or a logger into no file but those whose job it is', () => {
  const homes: Readonly<Record<string, RegExp>> = {
    pg: /^(pg\.ts|drivers\/|diagnose\/pg\.ts|sample\/|gateway\/postgres-upstream\.ts)/,
    mysql2: /^(mysql2\.ts|drivers\/|diagnose\/mysql2\.ts|sample\/)/,
    '@aws-sdk/': /^(token\/sdk-signer\.ts|sample\/database-user\.ts)$/,
    '@smithy/': /^$/,
    '@aws-lambda-powertools/': /^sample\//,
    'node-forge': /^gateway\/certificate\.ts$/,
    'middy-rds-iam/roots': /^trust\/roots\.ts$/,
    '@middy/core': /^(middleware\.ts|sample\/)/,
  }
  for (const file of files) {
    for (const specifier of importsOf(file)) {
      for (const [name, home] of Object.entries(homes)) {
        const isOf = name.endsWith('/')
          ? specifier.startsWith(name)
          : specifier === name || specifier.startsWith(`${name}/`)
        if (isOf) assert.match(file, home, `${file} imports ${specifier}`)
      }
    }
  }
})

test('reads the environment in one place, the command line’s own apart', () => {
  for (const file of files) {
    // The sample is a function of a user's, not a part of the package.
    if (stands(file, 'sample/') || environmentReaders.includes(file)) continue
    assert.doesNotMatch(
      withoutComments(textOf(file)),
      /\bprocess\s*\??\.\s*env\b|\benv\b.*from 'node:process'/,
      file,
    )
  }
  for (const file of environmentReaders) assert.match(textOf(file), /process\.env/)
})
