// npm run reference: makes docs/reference/ from the comments in the sources; `--check` only compares. Every
// export has to be documented, with an example that compiles.
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { readArguments } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { root } from './packages.ts'
import { findLacking } from './reference/documented.ts'
import { readEntries, referenceFolder } from './reference/entries.ts'
import { compileExamples, readExamples } from './reference/examples.ts'
import { findStale } from './reference/pages.ts'
import { writePages } from './reference/typedoc.ts'

const help = `npm run reference -- [--check]

Makes docs/reference/ from the comments of what both packages export.

--check  Changes nothing: exit 1 where a page is not what would be made, naming it.
`

/** Says what is wrong, each on a line. @returns The exit code. */
function refuse(summary: string, problems: readonly string[]): number {
  console.error([`${summary}:`, ...problems].join('\n- '))
  return 1
}

async function run(args: readonly string[]): Promise<number> {
  const { values } = readArguments(args, { check: { type: 'boolean' } })
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-reference-'))
  try {
    const entries = readEntries()
    const modules = await writePages(entries, folder)
    if (modules === undefined)
      return refuse('The documentation has mistakes', ['TypeDoc has named them above'])
    const names = modules.map(({ name }) => name)
    const unnamed = entries.filter(({ name }) => !names.includes(name))
    if (unnamed.length > 0)
      return refuse(
        'An entry begins with a comment that has its name',
        unnamed.map(({ name, file }) => `${relative(root, file)} needs @module ${name}`),
      )
    const lacking = findLacking(modules)
    if (lacking.length > 0) return refuse('The documentation is not complete', lacking)
    const said = compileExamples(readExamples(modules))
    if (said !== '') return refuse('Examples do not compile', said.trim().split(/\n(?! )/))
    const stale = findStale(referenceFolder, folder)
    if (values.check && stale.length > 0)
      return refuse('docs/reference/ is not what the sources say; run `npm run reference`', stale)
    if (!values.check) {
      rmSync(referenceFolder, { recursive: true, force: true })
      cpSync(folder, referenceFolder, { recursive: true })
    }
    console.log(
      `docs/reference/: ${entries.length} entries, ${values.check ? 'fresh' : `${stale.length} changed`}`,
    )
    return 0
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

await runProgram('npm run reference --', { help, run })
