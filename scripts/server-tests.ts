import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { FoundServer } from '../local/servers/catalogue.ts'
import { root } from '../local/template.ts'

const patterns = ['test/servers/**/*.test.ts', 'kit/test/{gateway,database}/*.test.ts']

/**
 * What no version of a server changes, so that `npm test` is enough: verdicts on tokens, bytes that no server
 * gets to see, tries again, silence, names, and what callers of a pool are told.
 */
const apart = [
  'kit/test/gateway/{forgeries,hostile,policy,tokens}.test.ts',
  'test/servers/diagnose/{credentials,dns}.test.ts',
  'test/servers/drivers/{backoff,pool-requests,silence}.test.ts',
  'test/servers/standalone/in-use.test.ts',
]

/** What starts the server that a run is for. */
const starter = 'test/support/servers.ts'

/** The files of tests that go by what server they run on: those that start the one that was chosen. */
export function findServerTests(servers: readonly FoundServer[]): readonly string[] {
  const files = globSync(patterns, { cwd: root, exclude: apart }).sort()
  const hasPostgres = servers.some(({ kind }) => kind === 'postgres')
  const hasOther = servers.some(({ kind }) => kind !== 'postgres')
  // Of one protocol alone are those that do not know the other one's.
  const isOf = (file: string) => {
    const text = readFileSync(join(root, file), 'utf8')
    return (
      (hasPostgres && /postgres|kinds|diagnos/i.test(text)) || (hasOther && /mysql|kinds|diagnos/i.test(text))
    )
  }
  return files.filter(file => reaches(file, new Set()) && isOf(file))
}

/** Whether a file imports the starter, itself or by others. */
function reaches(file: string, seen: Set<string>): boolean {
  if (file === starter) return true
  // What a test writes for another process looks like an import, too.
  if (seen.has(file) || !/^(kit\/)?test\//.test(file) || !existsSync(join(root, file))) return false
  seen.add(file)
  const imports = readFileSync(join(root, file), 'utf8').matchAll(/\bfrom '(\.[^']+)'/g)
  return [...imports].some(([, path = '']) => reaches(relative(root, join(root, dirname(file), path)), seen))
}
