// The pages as files: which of the committed ones are not what was made.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The files of a folder, by their paths in it. */
function readFolder(folder: string): ReadonlyMap<string, string> {
  const paths = globSync('**/*.md', { cwd: folder })
  return new Map(paths.sort().map(path => [path, readFileSync(join(folder, path), 'utf8')]))
}

/** Says of each page that is missing, stale or left over what is wrong with it. */
export function findStale(committed: string, made: string): readonly string[] {
  const [old, fresh] = [committed, made].map(folder =>
    existsSync(folder) ? readFolder(folder) : new Map<string, string>(),
  ) as [ReadonlyMap<string, string>, ReadonlyMap<string, string>]
  const stale = [...fresh].flatMap(([path, text]) => {
    if (!old.has(path)) return [`${path} is missing`]
    return old.get(path) === text ? [] : [`${path} is stale`]
  })
  const left = [...old.keys()].filter(path => !fresh.has(path)).map(path => `${path} is left over`)
  return [...stale, ...left]
}
