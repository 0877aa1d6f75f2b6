// npm's prepack and postpack: while npm packs a package, its package.json is the one that is published. Where
// that was interrupted, the next build puts the other one back, or `node scripts/pack.ts restore`; npm itself
// finds no scripts in the published one, and packs the same again.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { packageFolders, restoreManifest, root, swapManifest } from './packages.ts'

const [step, name = '.'] = process.argv.slice(2)
const folder = join(root, name)
const run = (script: string, ...args: readonly string[]) =>
  execFileSync(process.execPath, [join(import.meta.dirname, script), ...args], { stdio: ['ignore', 2, 2] })

switch (step) {
  case 'before':
    // Without `scripts`, npm does not run `prepare`.
    run('make-roots.ts')
    run('build.ts', name)
    swapManifest(folder)
    break
  case 'after':
    restoreManifest(folder)
    break
  case 'restore':
    for (const each of packageFolders) restoreManifest(each)
    break
  default:
    throw new Error(`Expected before, after or restore, got ${step}`)
}
