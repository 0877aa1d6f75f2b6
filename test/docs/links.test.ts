import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { anchorsOf, linksOf, otherTexts, type Page, pages, reference, withoutCode } from '../support/pages.ts'

const root = join(import.meta.dirname, '..', '..')
const texts = new Map([...pages, ...otherTexts, ...reference].map(page => [page.path, page]))

/** The pages and files of the repository that a page links to. */
function targetsOf(
  page: Page,
): readonly { readonly path: string; readonly anchor: string; readonly link: string }[] {
  return linksOf(page)
    .filter(link => !/^https?:/.test(link))
    .map(link => {
      const [file = '', anchor = ''] = link.split('#')
      return { path: file === '' ? page.path : normalize(join(dirname(page.path), file)), anchor, link }
    })
}

for (const page of texts.values()) {
  test(`each link of ${page.path} leads to a file, and to a heading that it has`, () => {
    for (const { path, anchor, link } of targetsOf(page)) {
      assert.ok(existsSync(join(root, path)), `${link} leads to no file`)
      if (anchor === '') continue
      const target = texts.get(path) ?? assert.fail(`${link}: ${path} is not read by this test`)
      assert.ok(anchorsOf(target).has(anchor), `${link} leads to no heading`)
    }
  })
}

test('every page is reached from the index, and the index from both READMEs', () => {
  const index = new Set(targetsOf(texts.get('docs/README.md') ?? assert.fail()).map(({ path }) => path))
  for (const { path } of pages)
    if (path.startsWith('docs/') && path !== 'docs/README.md')
      assert.ok(index.has(path), `docs/README.md does not name ${path}`)
  for (const name of ['README.md', 'kit/README.md'])
    assert.ok(
      targetsOf(texts.get(name) ?? assert.fail()).some(({ path }) => path === 'docs/README.md'),
      name,
    )
})

test('every example has a page, whose README leads to it', () => {
  for (const { path, text } of otherTexts.filter(({ path }) => path.startsWith('examples/'))) {
    const linked = targetsOf({ path, text }).map(target => target.path)
    assert.ok(
      linked.some(target => pages.some(page => page.path === target)),
      `${path} leads to no page`,
    )
  }
})

test('the README has 250 lines at most', () => {
  assert.ok(readFileSync(join(root, 'README.md'), 'utf8').split('\n').length <= 250)
})

test('pages have one title each, and names of small letters', () => {
  for (const { path, text } of pages) {
    assert.equal(withoutCode(text).match(/^# \S/gm)?.length, 1, path)
    assert.match(path, /^((kit|docs)\/)?(README|[a-z0-9-]+)\.md$/)
  }
})

test('every npm script that a page names exists, and so does every file of the checkout', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const { path, text } of pages) {
    for (const [, name = ''] of text.matchAll(/npm run ([\w:]+)/g))
      assert.ok(name in scripts, `${path}: ${name}`)
    for (const [file] of text.matchAll(/(?<= )events\/[\w-]+\.json/g))
      assert.ok(statSync(join(root, file)).isFile())
  }
})
