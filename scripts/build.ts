// npm run build: makes dist/ of the packages that are named by folder, of both where none is. Every entry of
// `exports` that has a source, and every command, is bundled into a file; what several of them need stands in
// files that they share, so that one copy of every module exists. Other packages stay outside, and what is
// imported lazily stays lazy. The declarations of the entries stand beside them, with those that they need.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild'
import { packageFolders, readManifest, restoreManifest, root, sourceCondition } from './packages.ts'

/** Sources of the entries and commands, for example `src/pg.ts`, which becomes `dist/pg.js`. */
function sourcesOf(folder: string): {
  readonly entries: readonly string[]
  readonly commands: readonly string[]
} {
  const { exports, bin = {} } = readManifest(folder)
  const entries = Object.entries(exports).flatMap(([entry, target]) => {
    if (typeof target === 'string' || target[sourceCondition] === undefined) return []
    const source = target[sourceCondition]
    const expected = builtOf(source)
    if (target.default !== expected || target.types !== expected.replace(/\.js$/, '.d.ts')) {
      throw new Error(
        `${folder}/package.json: "${entry}" has ${source}, which is built as ${expected}, with types beside it`,
      )
    }
    return relative('.', source)
  })
  const commands = Object.values(bin).map(file => file.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts'))
  return { entries, commands }
}

const builtOf = (source: string) => source.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, '.js')

/**
 * Modules that come into a file of their own, because they import what only some functions need: a bundler
 * leaves a file out that nothing is taken of, but not the import of another package in a file that is needed.
 * `beside` is needed by whoever needs one of them, and stays in one file for that.
 */
const apart = { module: 'src/drivers/pg/pool.ts', beside: 'src/drivers/pg/driver.ts' }

async function bundle(folder: string, sources: readonly string[]): Promise<void> {
  const isHere = existsSync(join(folder, apart.module))
  const options = {
    absWorkingDir: folder,
    entryPoints: [...sources, ...(isHere ? ['apart'] : [])],
    outbase: 'src',
    outdir: 'dist',
    chunkNames: 'shared/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    // The oldest that `engines` has.
    target: 'node22',
    packages: 'external',
    charset: 'utf8',
    logLevel: 'warning',
    // Of the first build alone, which tells what imports what.
    logOverride: { 'ignored-bare-import': 'silent' },
    metafile: true,
    plugins: [importing('apart', [apart.module, apart.beside])],
  } as const satisfies BuildOptions
  const built = await build({ ...options, write: false })
  const core = modulesOfBoth(built.metafile, ['src/pg.ts', 'src/mysql2.ts'])
  // The annotation is package.json's `sideEffects`: it says that nobody needs an import that takes nothing.
  const { outputFiles } =
    core.length === 0
      ? built
      : await build({
          ...options,
          write: false,
          inject: ['core'],
          plugins: [...options.plugins, importing('core', core)],
          ignoreAnnotations: true,
        })
  for (const { path, text } of outputFiles) {
    // Nobody imports a module that is apart by its own name.
    if (basename(path) === 'apart.js') continue
    mkdirSync(dirname(path), { recursive: true })
    // A bundler warns of an import that takes nothing from a package that says it has no side effects.
    writeFileSync(path, text.replace(/^import "\.[^"]*";\n/gm, ''))
  }
}

/** The modules that both entries import, with all that these import, but for what is loaded lazily. */
function modulesOfBoth({ inputs }: Metafile, entries: readonly [string, string]): readonly string[] {
  const importedBy = (entry: string) => {
    const modules = new Set(entry in inputs ? [entry] : [])
    for (const module of modules) {
      for (const { path, kind, external } of inputs[module]?.imports ?? [])
        if (!external && kind === 'import-statement') modules.add(path)
    }
    return modules
  }
  const [one, other] = entries.map(importedBy)
  return [...(one ?? [])].filter(module => other?.has(module))
}

/**
 * A module that exists here alone and imports others. Modules that the same entries import come into one file;
 * otherwise esbuild splits what they share by which entries need it, into ten small files for
 * `middy-rds-iam/pg`, and from node_modules every file takes a third of a millisecond to load.
 */
function importing(name: string, modules: readonly string[]): Plugin {
  const filter = new RegExp(`^${name}$`)
  return {
    name,
    setup({ initialOptions, onResolve, onLoad }) {
      const resolveDir = initialOptions.absWorkingDir ?? root
      onResolve({ filter }, () => ({ path: name, namespace: name }))
      onLoad({ filter, namespace: name }, () => ({
        contents: modules.map(module => `import './${module}'\n`).join(''),
        resolveDir,
      }))
    },
  }
}

const importedFile = /(\b(?:from|import)\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g

/** The lines that may import a file; not those of docstrings, whose examples may too. */
const isCode = (line: string) => !/^\s*\*/.test(line)

/** Writes the declarations of the entries, and of the modules that they name. */
function declare(folder: string, entries: readonly string[]): void {
  const scratch = mkdtempSync(join(tmpdir(), 'declarations-'))
  try {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const flags = ['--emitDeclarationOnly', '--outDir', scratch]
    execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', ...flags], {
      cwd: folder,
      stdio: 'inherit',
    })
    const waiting = entries.map(source => relative('src', source).replace(/\.ts$/, '.d.ts'))
    const written = new Set<string>()
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      if (written.has(file)) continue
      written.add(file)
      const text = readFileSync(join(scratch, file), 'utf8')
      const lines = text.split('\n')
      for (const [, , , path = ''] of lines.filter(isCode).join('\n').matchAll(importedFile))
        waiting.push(join(dirname(file), `${path}.d.ts`))
      const built = lines.map(line => (isCode(line) ? line.replace(importedFile, '$1$2$3.js$2') : line))
      mkdirSync(join(folder, 'dist', dirname(file)), { recursive: true })
      writeFileSync(join(folder, 'dist', file), built.join('\n'))
    }
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

const [...named] = process.argv.slice(2)
for (const folder of named.length === 0 ? packageFolders : named.map(name => join(root, name))) {
  if (restoreManifest(folder)) console.log(`${folder}/package.json is back: a pack of it was interrupted`)
  const { entries, commands } = sourcesOf(folder)
  // So that a file that was renamed does not stay in the package.
  rmSync(join(folder, 'dist'), { recursive: true, force: true })
  await bundle(folder, [...entries, ...commands])
  declare(folder, entries)
}
