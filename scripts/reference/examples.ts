// The examples in the documentation, and whether they compile.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../packages.ts'
import { type Documented, documentedParts, kinds, placeOf, tagsOf } from './documented.ts'

export interface Example {
  /** `middy-rds-iam/pg iamPg`, or the module's name alone. */
  readonly place: string
  /** As it stands there, with its fence if it has one. */
  readonly text: string
  /** What it is an example of: of a type, code without a fence is a value. */
  readonly typeName: string | undefined
  readonly module: Documented
}

export function readExamples(modules: readonly Documented[]): readonly Example[] {
  return modules.flatMap(module =>
    documentedParts(module).flatMap(part => {
      const typeName = part.kind === kinds.type || part.kind === kinds.interface ? part.name : undefined
      return tagsOf(part, '@example').map(text => ({ place: placeOf(module, part), text, typeName, module }))
    }),
  )
}

/** An example as a module, with the imports from its own entry that it leaves out. */
export function completeExample({ text, typeName, module }: Example): string {
  const fenced = /```ts\n(.*?)```/s.exec(text)?.[1]
  // TypeDoc has put a fence around what had none; a value of a type is what has no statement in it.
  const code = (fenced ?? text).trim()
  const isValue =
    typeName !== undefined && !/^(?:\/\/|import|export|const|await|for|if|function)\b/.test(code)
  const body = isValue ? `export const example: ${typeName} = ${code}\n` : `${code}\nexport {}\n`
  const imported = new Set(
    [...body.matchAll(/^import (?:type )?(.*?) from/gm)].flatMap(
      ([, names = '']) => names.match(/\w+/g) ?? [],
    ),
  )
  const names = (module.children ?? []).filter(
    ({ name }) => new RegExp(`\\b${name}\\b`).test(body) && !imported.has(name),
  )
  return `import { ${names.map(({ name }) => name).join(', ')} } from '${module.name}'\n${body}`
}

/**
 * Compiles examples.
 *
 * @returns What the compiler says of them, with their places; empty if all is well.
 */
export function compileExamples(examples: readonly Example[]): string {
  // Inside the repository, so that the packages are found by their names.
  const folder = join(root, '.local', `reference-examples-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  try {
    for (const [index, example] of examples.entries())
      writeFileSync(join(folder, `example-${index}.ts`), completeExample(example))
    const compilerOptions = { verbatimModuleSyntax: false }
    const include = ['*.ts', '../../src/drivers/pg/pg-client.d.ts']
    const config = { extends: '../../tsconfig.json', compilerOptions, include }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, '-p', '.'], {
      cwd: folder,
      encoding: 'utf8',
    })
    if (status === 0) return ''
    return (`${stdout}${stderr}` || 'tsc failed without a word').replace(
      /^example-(\d+)\.ts(.*)/gm,
      (_line, index: string, said: string) => `${examples[Number(index)]?.place}${said}`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
