// The examples in the documentation: who needs one, and whether they compile.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../packages.ts'
import type { Documented } from './typedoc.ts'

// Of TypeDoc's kinds: https://typedoc.org/api/enums/Models.ReflectionKind.html
const kinds = { reference: 4_194_304, type: 2_097_152, interface: 256 }

export interface Example {
  /** `middy-rds-iam/pg iamPg`, or the module's name alone. */
  readonly place: string
  /** As it stands there, with its fence if it has one. */
  readonly text: string
  /** What it is an example of: of a type, code without a fence is a value. */
  readonly typeName: string | undefined
  readonly module: Documented
}

/** What an entry says, and each of its exports but those that another page documents. */
function documentedParts(module: Documented): readonly Documented[] {
  return [module, ...(module.children ?? []).filter(({ kind }) => kind !== kinds.reference)]
}

function examplesOf({ comment, signatures = [] }: Documented): readonly string[] {
  return [comment, ...signatures.map(signature => signature.comment)].flatMap(comment =>
    (comment?.blockTags ?? [])
      .filter(({ tag }) => tag === '@example')
      .map(({ content }) => content.map(({ text }) => text).join('')),
  )
}

const placeOf = (module: Documented, part: Documented) =>
  part === module ? module.name : `${module.name} ${part.name}`

/** The entries and exports without an example. */
export function findWithoutExample(modules: readonly Documented[]): readonly string[] {
  return modules.flatMap(module =>
    documentedParts(module)
      .filter(part => examplesOf(part).length === 0)
      .map(part => placeOf(module, part)),
  )
}

export function readExamples(modules: readonly Documented[]): readonly Example[] {
  return modules.flatMap(module =>
    documentedParts(module).flatMap(part => {
      const typeName = part.kind === kinds.type || part.kind === kinds.interface ? part.name : undefined
      return examplesOf(part).map(text => ({ place: placeOf(module, part), text, typeName, module }))
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
    const { stdout, stderr } = spawnSync(process.execPath, [tsc, '-p', '.'], {
      cwd: folder,
      encoding: 'utf8',
    })
    return `${stdout}${stderr}`.replace(
      /^example-(\d+)\.ts(.*)/gm,
      (_line, index: string, said: string) => `${examples[Number(index)]?.place}${said}`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
