import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..', '..')

/** Where what a page quotes is tried: `docs/sst.md` quotes nothing, because SST cannot be run here. */
const exampleOf = { cdk: 'cdk', 'serverless-framework': 'serverless', terraform: 'terraform' }

for (const [page, example] of Object.entries(exampleOf)) {
  test(`what docs/${page}.md quotes stands in the files of examples/${example} as it is`, () => {
    const text = readFileSync(join(root, 'docs', `${page}.md`), 'utf8')
    const folder = join(root, 'examples', example)
    const paths = globSync('{*,*/,src/functions/}*.{ts,mjs,yml,tf}', { cwd: folder })
    const files = paths.map(path => trimLines(readFileSync(join(folder, path), 'utf8')))
    const quoted = [...text.matchAll(/^ *```(?:ts|js|yaml|hcl)\n(.*?)^ *```$/gms)]
    assert.ok(quoted.length >= 4)
    for (const [, code = ''] of quoted)
      assert.ok(
        files.some(file => file.includes(trimLines(code))),
        `of no file of the example:\n${code}`,
      )
  })
}

function trimLines(text: string): string {
  return text.replaceAll(/^[ \t]+/gm, '')
}
