// The packages of this repository, and what their manifests say.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..')

/** The folders of the packages that are published, each after what it imports. */
export const packageFolders = [root, join(root, 'kit')]

/** The condition of `exports` that leads to the sources: for the tests of this repository alone. */
export const sourceCondition = 'middy-rds-iam-source'

type Conditions = Readonly<Record<string, string>>

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly exports: Readonly<Record<string, string | Conditions>>
  readonly bin?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

// Fields that only this repository needs; npm warns of some of them where the package is installed.
const developmentFields = ['scripts', 'workspaces', 'devDependencies', 'allowScripts']

/** A manifest as it is published. */
export function publishedManifest(manifest: Manifest): Manifest {
  const entries = Object.entries(manifest.exports).map(([entry, target]) => [
    entry,
    typeof target === 'string'
      ? target
      : Object.fromEntries(Object.entries(target).filter(([condition]) => condition !== sourceCondition)),
  ])
  const fields = Object.entries(manifest).filter(([field]) => !developmentFields.includes(field))
  return { ...(Object.fromEntries(fields) as Manifest), exports: Object.fromEntries(entries) }
}

/** Packs a package as npm publishes it. @returns The path of the file. */
export function packPackage(folder: string, destination: string): string {
  const args = ['pack', '--json', '--pack-destination', destination]
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }))
  return join(destination, filename)
}

const asideOf = (folder: string) => join(folder, 'package.json.development')

/**
 * Puts the published manifest in the place of the one that this repository works with, which stands beside it
 * meanwhile.
 */
export function swapManifest(folder: string): void {
  const published = publishedManifest(readManifest(folder))
  renameSync(join(folder, 'package.json'), asideOf(folder))
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`)
}

/** Puts the manifest of this repository back. @returns Whether it was away. */
export function restoreManifest(folder: string): boolean {
  if (!existsSync(asideOf(folder))) return false
  renameSync(asideOf(folder), join(folder, 'package.json'))
  return true
}
