import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { compile, functionSource, kitSource, resolutions } from '../../test/support/published-types.ts'
import type { Result } from '../../test/support/results-reporter.ts'
import { packageFolders, packPackage, readManifest } from '../packages.ts'
import type { Run } from '../server-table.ts'
import { installPackages, versionsFolder } from './install.ts'
import { knowsDisposables, type VersionSet } from './sets.ts'

/** What the declarations speak of. */
const types = { '@types/aws-lambda': '^8', '@types/node': '^24', '@types/pg': '^8' }

const aliasOf = (version: string) => `typescript-${version}`

/** Installs compilers beside each other. @returns Where. */
export function installCompilers(versions: readonly string[]): string {
  const aliases = versions.map(version => [aliasOf(version), `npm:typescript@${version}`])
  return installPackages('typescript', Object.fromEntries(aliases))
}

/** Makes a project with both packages as they are published. What they depend on is in this checkout. */
export function makeProjects(sets: readonly VersionSet[]): readonly Project[] {
  mkdirSync(versionsFolder, { recursive: true })
  const packed = packageFolders.map(folder => ({
    file: packPackage(folder, versionsFolder),
    name: readManifest(folder).name,
  }))
  return sets.map(({ name, versions: { node: _, ...drivers } }) => {
    const folder = installPackages(`types-${name}`, { ...drivers, ...types })
    for (const { file, name } of packed) {
      const to = join(folder, 'node_modules', name)
      mkdirSync(to, { recursive: true })
      execFileSync('tar', ['-xzf', file, '--strip-components=1', '-C', to])
    }
    return { name, folder }
  })
}

export interface Project {
  readonly name: string
  readonly folder: string
}

/** Compiles uses of both packages with a version of TypeScript, in each way to find declarations. */
export async function compileWith(
  version: string,
  compilers: string,
  projects: readonly Project[],
): Promise<Run> {
  const title = `TypeScript ${version}${knowsDisposables(version) ? '' : ' with skipLibCheck'}`
  const tsc = join(compilers, 'node_modules', aliasOf(version), 'bin', 'tsc')
  const settings = knowsDisposables(version) ? { tsc } : { tsc, lib: ['es2023'], skipLibCheck: true }
  const results: Result[] = []
  for (const { name, folder } of projects) {
    // The drivers' own types differ little: one way of finding them will do for the older ones.
    for (const resolution of name === 'newest' ? resolutions : resolutions.slice(0, 1)) {
      const errors = await compile(folder, resolution, functionSource + kitSource, settings)
      results.push({
        file: 'published types',
        name: `${resolution.moduleResolution}, ${name} drivers`,
        ...(errors.length > 0 && { failed: errors.join('\n  ') }),
      })
    }
  }
  const failed = results.filter(result => result.failed !== undefined)
  console.log(`\n== ${title}\n${results.length} projects compiled, ${failed.length} with errors`)
  for (const { name, failed: errors } of failed) console.log(`✖ ${name}\n  ${errors}`)
  return { title, results }
}
