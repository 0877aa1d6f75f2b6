import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { transformSync } from 'esbuild'
import { copyCheckout } from '../checkout-copy.ts'
import { readManifest, root } from '../packages.ts'
import { runNpm, Unavailable } from './registry.ts'
import type { VersionSet } from './sets.ts'

/** Where versions are installed, a folder each. */
export const versionsFolder = join(root, '.local', 'versions')

/** What the tests use with `pg`: beside the version that is tested, so that it is the one that they load. */
const companions = ['pg-cursor', 'pg-query-stream', 'pg-copy-streams', '@types/pg']

/**
 * Installs packages from the registry into a folder of the cache, once.
 *
 * @param packages For example `{ pg: '8.21.0' }`, or `{ 'ts5.2': 'npm:typescript@5.2.2' }`.
 * @returns The folder.
 * @throws {Unavailable} Where the registry does not give them.
 */
export function installPackages(name: string, packages: Readonly<Record<string, string>>): string {
  const folder = join(versionsFolder, name)
  // Which system the programs in there are for belongs to it, too.
  const wanted = JSON.stringify({ system: `${process.platform}-${process.arch}`, packages }, null, 2)
  const stamp = join(folder, 'installed.json')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return folder
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const manifest = { private: true, type: 'module', dependencies: packages, allowScripts: { node: true } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  runNpm(['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'], folder)
  writeFileSync(stamp, wanted)
  return folder
}

/** A copy of this checkout whose drivers, Middy and Node.js are the ones of a set. */
export interface VersionedCheckout {
  readonly folder: string
  /** The program of Node.js. */
  readonly node: string
  readonly flags: readonly string[]
  readonly reporter: string
}

export function makeCheckout({ name, versions }: VersionSet): VersionedCheckout {
  const { devDependencies } = readManifest(root) as unknown as { devDependencies: Record<string, string> }
  const beside = Object.fromEntries(companions.map(each => [each, devDependencies[each] ?? '*']))
  const packages = { ...beside, ...versions }
  const installed = installPackages(name, packages)
  const folder = join(installed, 'checkout')
  rmSync(folder, { recursive: true, force: true })
  const node = join(installed, 'node_modules', 'node', 'bin', 'node')
  // The package `node` fetches it by a script of its own.
  if (!existsSync(node)) throw new Unavailable(`npm has not fetched the program of node@${versions.node}`)
  const own = Object.keys(packages).filter(each => each !== 'node')
  copyCheckout(folder, Object.fromEntries(own.map(each => [each, join(installed, 'node_modules', each)])))
  cpSync(join(root, 'roots'), join(folder, 'roots'), { recursive: true })
  // Node.js loads a reporter before what --import names.
  const reporter = join('test', 'support', 'results-reporter')
  const { code } = transformSync(readFileSync(join(root, `${reporter}.ts`), 'utf8'), { loader: 'ts' })
  writeFileSync(join(folder, `${reporter}.js`), code)
  return {
    folder,
    node,
    flags: [
      '--conditions=middy-rds-iam-source',
      `--import=${join(folder, 'scripts', 'versions', 'strip-types.js')}`,
    ],
    reporter: `./${reporter}.js`,
  }
}
