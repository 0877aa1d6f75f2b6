// The entries of both packages: what a page of the reference is about, and where it is declared.
import { join } from 'node:path'
import { packageFolders, readManifest, root, sourceCondition } from '../packages.ts'

export interface Entry {
  /** What is imported: `middy-rds-iam/pg`. Its module has the name too, by `@module`. */
  readonly name: string
  /** The path of its source, or of its declarations where they are made by a script. */
  readonly file: string
}

/** What stands for all that a pattern of `exports` leads to: they differ in nothing but the Region. */
const patterns: Readonly<Record<string, string>> = { './roots/*': 'eu-west-1' }

export function readEntries(): readonly Entry[] {
  return packageFolders.flatMap(folder => {
    const { name, exports } = readManifest(folder)
    return Object.entries(exports).flatMap(([entry, target]) => {
      if (typeof target === 'string') return []
      const matched = patterns[entry] ?? ''
      const file = join(folder, (target[sourceCondition] ?? target.types ?? '').replace('*', matched))
      return [{ name: `${name}${entry.slice(1).replace('*', matched)}`, file }]
    })
  })
}

export const referenceFolder = join(root, 'docs', 'reference')
