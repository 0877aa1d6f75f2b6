import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../local/template.ts'
import type { CoreFolder } from './folders.ts'

/** One change of a source, and what came of it. */
export interface Mutant {
  /** Of its source, from the root. */
  readonly file: string
  readonly line: number
  /** The line of the source. */
  readonly text: string
  /** What stands there, and what in its place: `a === b → true`. */
  readonly change: string
  /** Whether a test failed, or waited for ever. */
  readonly isNoticed: boolean
  /** Whether the tests had not ended after a time. */
  readonly isTimedOut: boolean
}

// Not a development dependency: with what it needs, it has 61 MB in 110 packages, and most who run `npm ci` never
// run it.
const home = join(root, '.local', 'stryker')
const version = '^10.1.1'
const program = join(home, 'node_modules', '@stryker-mutator', 'core', 'bin', 'stryker.js')

/** Installs Stryker, where it is not there yet. */
export function installStryker(): void {
  if (existsSync(program)) return
  const flags = ['--silent', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', home]
  const { status } = spawnSync('npm', ['install', ...flags, `@stryker-mutator/core@${version}`], {
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error(`Stryker could not be installed into ${home}`)
}

function find(patterns: readonly string[]): string[] {
  return patterns.flatMap(pattern => {
    const files = globSync(pattern, { cwd: root })
    if (files.length === 0) throw new Error(`test/mutants/folders.ts: there is no ${pattern}`)
    return files.sort()
  })
}

function settingsFor({ sources, tests }: CoreFolder, folder: string, isAgain: boolean): object {
  // All files of tests in one process, which the first failure ends: starting Node takes longer than the tests.
  // One that waits for ever fails, too.
  const flags = ['--test', '--test-isolation=none', '--test-timeout=10000']
  const reporter = '--test-reporter=./test/mutants/first-failure.ts'
  const command = [process.execPath, ...process.execArgv, ...flags, reporter, ...find(tests)]
  return {
    testRunner: 'command',
    commandRunner: { command: command.map(word => `"${word}"`).join(' ') },
    mutate: find(sources),
    // All of Stryker's mutators are on. Only sentences keep their words.
    plugins: [join(root, 'test/mutants/prose.ts')],
    ignorers: ['prose'],
    concurrency: 2,
    // A change that has the process run for ever is noticed. A machine that is busy is not taken for one.
    timeoutMS: 10_000,
    timeoutFactor: 4,
    // Stryker would read tsconfig.json with a compiler of its own choice. Node runs the sources as they are.
    tsconfigFile: 'none',
    disableTypeChecks: false,
    // What the tests need, and no more, is copied.
    ignorePatterns: ['/*', '!/bench', '!/src', '!/kit', '!/local', '!/roots', '!/test', '!/package.json'],
    tempDirName: join(home, 'work'),
    reporters: ['json', 'progress-append-only'],
    jsonReporter: { fileName: join(folder, 'report.json') },
    incremental: true,
    incrementalFile: join(folder, 'incremental.json'),
    force: !isAgain,
    logLevel: 'warn',
  }
}

interface Report {
  readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: ReportedMutant[] }>>
}

interface ReportedMutant {
  readonly replacement: string
  readonly location: Readonly<Record<'start' | 'end', { readonly line: number; readonly column: number }>>
  readonly status: string
}

/**
 * Tries every change of the sources of a folder.
 *
 * @param isAgain Whether only what no test has failed at the last time is tried, and what is new.
 */
export function tryMutants(name: string, core: CoreFolder, isAgain: boolean): readonly Mutant[] {
  const folder = join(home, 'results', name)
  mkdirSync(folder, { recursive: true })
  if (isAgain) forgetDoubtful(join(folder, 'incremental.json'))
  const settings = join(folder, 'settings.json')
  writeFileSync(settings, JSON.stringify(settingsFor(core, folder, isAgain), null, 2))
  // Every try runs the same files, and a third of its time would go into compiling them.
  const compiled = join(folder, 'compiled')
  rmSync(compiled, { recursive: true, force: true })
  const { status } = spawnSync(process.execPath, [program, 'run', settings], {
    cwd: root,
    env: { ...process.env, NODE_COMPILE_CACHE: compiled },
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error(`Stryker ended with ${status}, before it had tried all of ${name}`)
  const { files } = read(join(folder, 'report.json'))
  return Object.entries(files).flatMap(([file, { source, mutants }]) =>
    mutants
      .filter(({ status }) => status !== 'Ignored')
      .map(({ replacement, location, status }) => ({
        file,
        line: location.start.line,
        text: (source.split('\n')[location.start.line - 1] ?? '').trim(),
        change: `${shorten(cut(source, location))} → ${shorten(replacement)}`,
        isNoticed: status === 'Killed' || status === 'Timeout',
        isTimedOut: status === 'Timeout',
      })),
  )
}

/**
 * Stryker sees when a source was changed, but not when a test was, and not that a machine was too busy for the
 * time that a try has.
 */
function forgetDoubtful(file: string): void {
  if (!existsSync(file)) return
  const report = read(file)
  for (const source of Object.values(report.files)) {
    const certain = source.mutants.filter(({ status }) => status !== 'Survived' && status !== 'Timeout')
    source.mutants.splice(0, source.mutants.length, ...certain)
  }
  writeFileSync(file, JSON.stringify(report))
}

function read(file: string): Report {
  return JSON.parse(readFileSync(file, 'utf8'))
}

function cut(source: string, { start, end }: ReportedMutant['location']): string {
  const lines = source.split('\n').slice(start.line - 1, end.line)
  const last = lines.length - 1
  // The end first: it may be on the same line.
  lines[last] = (lines[last] ?? '').slice(0, end.column - 1)
  lines[0] = (lines[0] ?? '').slice(start.column - 1)
  return lines.join('\n')
}

/** On one line, and not too long. */
function shorten(code: string): string {
  const text = code.replace(/\s+/g, ' ')
  return text.length > 100 ? `${text.slice(0, 99)}…` : text
}
