import assert from 'node:assert/strict'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..', '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** What tells a contributor of the house. README is for users, and has a test of its own. */
const guides = ['CONTRIBUTING.md', 'SECURITY.md', 'src/README.md']
const forms = globSync('.github/**/*.{md,yml}', { cwd: root })

test('each folder of src has one paragraph in src/README.md, which names no other', () => {
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => name)
  const paragraphs = [...read('src/README.md').matchAll(/^## `([^`]+)\/`\n\n\S/gm)].map(match => match[1])
  assert.deepEqual(paragraphs.toSorted(), folders.toSorted())
})

test('imports go up on the page of src/README.md', () => {
  const page = [...read('src/README.md').matchAll(/^## `([^`]+)\/`$/gm)].map(match => match[1] ?? '')
  for (const file of globSync('src/*/**/*.ts', { cwd: root })) {
    const folder = file.split('/')[1] ?? ''
    for (const [, imported = ''] of read(file).matchAll(/from '(?:\.\.\/)+([a-z-]+)\/[^']+'/g))
      if (page.includes(imported))
        assert.ok(page.indexOf(imported) <= page.indexOf(folder), `${file} imports ${imported}/`)
  }
})

test('the guides and the forms name scripts that there are', () => {
  const { scripts } = JSON.parse(read('package.json')) as {
    readonly scripts: Readonly<Record<string, string>>
  }
  assert.ok(forms.length > 0)
  for (const file of [...guides, ...forms]) {
    for (const [mention, script = ''] of read(file).matchAll(/\bnpm run ([a-z][\w:-]*)|\bnpm (test)\b/g)) {
      const name = script === '' ? 'test' : script
      assert.ok(Object.hasOwn(scripts, name), `${file} says ${mention}`)
    }
  }
})

test('the guides name folders and files that there are', () => {
  for (const file of guides) {
    const text = read(file)
    const linked = text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)
    // In code, what has a slash in it and no package's name before that.
    const written = text.matchAll(/`((?!middy-rds-iam\/)[\w.-]+\/[\w./-]*)`/g)
    for (const [, path = ''] of [...linked, ...written]) {
      const places = [join(root, dirname(file), path), join(root, path)]
      assert.ok(places.some(existsSync), `${file} names ${path}`)
    }
  }
})
