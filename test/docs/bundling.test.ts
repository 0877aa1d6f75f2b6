import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { readTemplate } from '../../local/template.ts'
import { readPage, snippetsOf } from '../support/pages.ts'

type Settings = Readonly<Record<string, unknown>>

const page = readPage('docs/bundling.md')
const snippet = (language: string, containing: string) =>
  snippetsOf(page, language).find(({ code }) => code.includes(containing))?.code ?? assert.fail(containing)

/** `OutExtension: [.js=.mjs]` is `out-extension: [.js=.mjs]`. Which files are bundled is left out. */
function normalize(properties: Settings): Settings {
  const named = Object.entries(properties).map(([name, value]) => {
    const flag = name.replaceAll(/(?<=.)[A-Z]/g, letter => `-${letter}`).toLowerCase()
    return [flag, Array.isArray(value) ? value.map(fromHere).sort() : value] as const
  })
  return Object.fromEntries(named.filter(([name]) => name !== 'entry-points').sort())
}

/** The template's path is seen from `src/`. */
const fromHere = (item: string) => item.replace(/^\.\.?\/node_modules/, './node_modules')

/** What `template.yaml` has, the larger of both, with the names of esbuild's command line. */
const expected = normalize(readTemplate().Resources.MysqlNotesFunction.Metadata.BuildProperties)

test("SAM's settings are those of the template", () => {
  const { Metadata } = parse(snippet('yaml', 'BuildMethod')) as { Metadata: { BuildProperties: Settings } }
  assert.deepEqual(normalize(Metadata.BuildProperties), expected)
})

test("esbuild's command line has the settings of the template", async () => {
  const [command = ''] = /^npx .*/ms.exec(snippet('sh', 'npx esbuild')) ?? []
  // The shell itself says what the words are.
  const shell = `npx() { printf '%s\\n' "$@"; }\n${command}`
  const { stdout } = await promisify(execFile)('sh', ['-c', shell])
  const flags: Record<string, true | string | string[]> = {}
  for (const word of stdout.trim().split('\n')) {
    const [, name = '', item, value] = /^--([a-z-]+)(?::(.*)|=(.*))?$/s.exec(word) ?? []
    if (item === undefined) flags[name] = value ?? true
    else flags[name] = [...((flags[name] as string[] | undefined) ?? []), item]
  }
  const { '': words, bundle, outdir, platform, ...settings } = flags
  // SAM says these by itself.
  assert.deepEqual([bundle, outdir, platform], [true, 'dist', 'node'])
  assert.ok(words)
  assert.deepEqual(normalize(settings), expected)
})

test("CDK's settings are those of the template", () => {
  const [, literal = ''] = /bundling: (\{.*?\n {2}\}),/s.exec(snippet('js', 'NodejsFunction')) ?? []
  const settings = new Function('OutputFormat', `return ${literal}`)({ ESM: 'esm' })
  const { banner, esbuildArgs, externalModules, mainFields, ...others } = settings
  assert.deepEqual(
    normalize({
      ...others,
      Banner: [`js=${banner}`],
      Charset: esbuildArgs['--charset'],
      External: externalModules,
      MainFields: mainFields.join(),
      // Of itself, with this format.
      OutExtension: ['.js=.mjs'],
    }),
    expected,
  )
})

test("the Serverless plugin's settings are those of the template", () => {
  const { custom } = parse(snippet('yaml', 'serverless-esbuild')) as { custom: { esbuild: Settings } }
  const { banner, bundle, exclude, mainFields, outputFileExtension, ...others } = custom.esbuild
  assert.equal(bundle, true)
  assert.deepEqual(
    normalize({
      ...others,
      Banner: [`js=${(banner as { js: string }).js}`],
      External: exclude,
      MainFields: (mainFields as string[]).join(),
      OutExtension: [`.js=${outputFileExtension}`],
    }),
    expected,
  )
})
