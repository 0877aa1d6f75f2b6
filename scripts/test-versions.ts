// npm run test:versions: the tests of trust, redaction, drivers and packages on the oldest and the newest of
// what this package is promised for, and its types with versions of TypeScript. Prints what holds with which.
// Exit 1 where a test failed.
import { globSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { readArguments, UsageError } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { root } from './packages.ts'
import { printPromises, type Run } from './server-table.ts'
import { hasFailed, runTests } from './test-run.ts'
import { makeCheckout, type VersionedCheckout } from './versions/install.ts'
import { Unavailable } from './versions/registry.ts'
import { newestSet, oldestSet, setsBetween, typescriptVersions, type VersionSet } from './versions/sets.ts'
import { compileWith, installCompilers, makeProjects } from './versions/types.ts'

const names = ['oldest', 'newest', 'types']

const help = `npm run test:versions -- [NAME …] [--every]

NAME     ${names.join(', ')}; without any, all of them. oldest and newest are of Node.js, both drivers and
         Middy together; types are those of the packages, with versions of TypeScript.
--every  The minors between, too: of drivers and Middy where both ends are tested, of TypeScript with types.

What is installed for it stays in .local/versions of the checkout, whose own node_modules are left alone.
`

const patterns = [
  'test/unit/{trust,drivers}/*.test.ts',
  'test/servers/{trust,pg,mysql2,standalone}/*.test.ts',
  'test/servers/drivers/*.test.ts',
  'test/servers/{redaction,wrap}.test.ts',
  'test/package.test.ts',
]

const apart = [
  // Pauses between attempts and silence, in which no driver has a part. Node.js 22.3 lacks the stand-in for
  // the clock of the one, and the other takes the most time of all.
  'test/servers/drivers/{backoff,silence}.test.ts',
  // What a bundle leaves out goes by where the checkout itself has its packages.
  'test/servers/mysql2/bundle.test.ts',
]

const titleOf = ({ versions: { node, ...others } }: VersionSet) =>
  [`Node.js ${node}`, ...Object.entries(others).map(([name, version]) => `${name} ${version}`)].join(', ')

async function run(args: readonly string[]): Promise<number> {
  const { values, words } = readArguments(args, { every: { type: 'boolean' } }, { words: true })
  const wanted: readonly string[] = words.length === 0 ? names : words
  const unknown = words.filter(word => !names.includes(word))
  if (unknown.length > 0)
    throw new UsageError(`there is no ${unknown.join(', ')}; there are ${names.join(', ')}`)
  const every = values.every ?? false
  const runs: Run[] = []
  const missing: string[] = []
  /** Gives what was made, or nothing, where the registry does not have what it takes. */
  const make = <T>(name: string, from: () => T): T | undefined => {
    try {
      return from()
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      missing.push(`${name}: ${error.message}`)
      return undefined
    }
  }

  const ends = [make('oldest', oldestSet), make('newest', newestSet)].filter(set => set !== undefined)
  const areBoth = ['oldest', 'newest'].every(name => wanted.includes(name))
  const between = every && areBoth ? make('the minors between', setsBetween) : undefined
  for (const set of [...ends.filter(({ name }) => wanted.includes(name)), ...(between ?? [])]) {
    const checkout = make(titleOf(set), () => makeCheckout(set))
    if (checkout !== undefined) runs.push(await testIn(checkout, titleOf(set)))
  }
  if (wanted.includes('types')) {
    const versions = make('TypeScript', () => typescriptVersions(every))
    const compilers =
      versions === undefined ? undefined : make('TypeScript', () => installCompilers(versions))
    const projects =
      compilers === undefined ? undefined : make('the drivers for the types', () => makeProjects(ends))
    for (const version of versions ?? [])
      if (compilers !== undefined && projects !== undefined)
        runs.push(await compileWith(version, compilers, projects))
  }
  if (runs.length > 0) printPromises(runs)
  if (missing.length > 0) console.log(`\nNot tested:\n${missing.map(line => `- ${line}`).join('\n')}`)
  return hasFailed(runs) ? 1 : 0
}

function testIn({ folder, node, flags, reporter }: VersionedCheckout, title: string): Promise<Run> {
  // npm and what it starts, for the packages' build, run on the Node.js of the checkout.
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
  return runTests({
    title,
    files: globSync(patterns, { cwd: folder, exclude: apart }).sort(),
    script: 'scripts/test-versions.ts',
    env: { PATH: path },
    cwd: folder,
    node,
    flags,
    reporter,
  })
}

await runProgram('npm run test:versions --', { help, run })
