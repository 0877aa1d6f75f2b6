// Runs TypeDoc, with all of its warnings as problems, and says what it found in the sources.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from '../packages.ts'
import type { Documented } from './documented.ts'
import type { Entry } from './entries.ts'

/**
 * TypeDoc asks for TypeScript 6 at most, which npm would refuse beside the one of this repository; and it is
 * 48 MB with it. Exact versions, because each one writes pages in its own way.
 */
const tools = { typedoc: '0.28.20', 'typedoc-plugin-markdown': '4.14.1', typescript: '6.0.3' }
const toolFolder = join(root, '.local', 'typedoc')

/** As much of TypeDoc as is used here, whose types are not installed for the compiler of this repository. */
interface TypeDoc {
  readonly Application: { bootstrapWithPlugins(options: object): Promise<Application> }
  readonly Converter: { readonly EVENT_RESOLVE_END: string }
}

interface Application {
  readonly converter: {
    on(event: string, listener: (context: { project: Project }) => void, priority: number): void
  }
  readonly logger: { hasErrors(): boolean; hasWarnings(): boolean }
  readonly serializer: { projectToObject(project: Project, folder: string): Documented }
  convert(): Promise<Project | undefined>
  validate(project: Project): void
  generateOutputs(project: Project): Promise<void>
}

interface Project {
  readonly reflections: Readonly<Record<number, Reflection>>
  removeReflection(reflection: Reflection): void
}

interface Reflection {
  readonly inheritedFrom?: { readonly reflection?: Reflection }
}

/**
 * Writes the pages of entries into a folder.
 *
 * @returns The modules as they are documented; nothing where TypeDoc found mistakes, which it has printed.
 */
export async function writePages(
  entries: readonly Entry[],
  folder: string,
): Promise<readonly Documented[] | undefined> {
  const { Application, Converter } = await loadTypeDoc()
  const app = await Application.bootstrapWithPlugins({
    ...{ entryPoints: entries.map(({ file }) => file), tsconfig: join(root, 'tsconfig.json') },
    ...{ plugin: ['typedoc-plugin-markdown'], outputs: [{ name: 'markdown', path: folder }] },
    ...{ name: 'API reference', readme: join(import.meta.dirname, 'introduction.md'), mergeReadme: true },
    ...{ router: 'module', entryFileName: 'README.md', sort: ['source-order'], sortEntryPoints: false },
    ...{
      groupOrder,
      indexFormat: 'table',
      parametersFormat: 'table',
      jsDocCompatibility: { defaultTag: false },
    },
    // Addresses, dates and line numbers would make a page stale that says what it did.
    ...{ disableSources: true, disableGit: true, excludeExternals: true, excludeInternal: true },
    // Anchors of its own: it counts headings in another way than whoever renders Markdown.
    ...{ hideBreadcrumbs: true, hidePageHeader: true, useCodeBlocks: true, useHTMLAnchors: true },
    ...{ validation: { notExported: true, invalidLink: true, invalidPath: true, notDocumented: true } },
    ...{ basePath: root, logLevel: 'Warn' },
  })
  // What an interface inherits is said at its parent, which it links to.
  const removeInherited = ({ project }: { project: Project }): void => {
    for (const reflection of Object.values(project.reflections))
      if (reflection.inheritedFrom?.reflection !== undefined) project.removeReflection(reflection)
  }
  app.converter.on(Converter.EVENT_RESOLVE_END, removeInherited, -50)
  const project = await app.convert()
  if (project === undefined) return undefined
  app.validate(project)
  if (app.logger.hasErrors() || app.logger.hasWarnings()) return undefined
  await app.generateOutputs(project)
  return app.serializer.projectToObject(project, root).children ?? []
}

/** Functions first: they are what a page is looked up for. */
const groupOrder = ['Functions', 'Classes', 'Variables', '*', 'References']

async function loadTypeDoc(): Promise<TypeDoc> {
  const stamp = join(toolFolder, 'installed.json')
  const wanted = JSON.stringify(tools)
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    mkdirSync(toolFolder, { recursive: true })
    const packages = Object.entries(tools).map(([name, version]) => `${name}@${version}`)
    const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error']
    const { status } = spawnSync('npm', ['install', '--prefix', toolFolder, ...flags, ...packages], {
      stdio: 'inherit',
    })
    if (status !== 0) throw new Error(`npm could not install ${packages.join(', ')}`)
    writeFileSync(stamp, wanted)
  }
  const main = join(toolFolder, 'node_modules', 'typedoc', 'dist', 'index.js')
  return import(pathToFileURL(main).href)
}
