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

/** What is promised of logins and of what follows them, whoever asks for the token: the gateway or the server. */
const ofAnyLogin = [
  'test/servers/{events,redaction,shutdown,traps,wrap}.test.ts',
  'test/servers/drivers/shared.test.ts',
  'test/servers/pg/{client,pool}.test.ts',
  'test/servers/isolation/*.test.ts',
  'test/servers/standalone/{driver-options,pools}.test.ts',
]

/** What starts the server that a run is for. */
const starter = 'test/support/servers.ts'

/** The files of tests that go by what server they run on: those that start the one that was chosen. */
export function findServerTests(servers: readonly FoundServer[]): readonly string[] {
  const files = globSync(patterns, { cwd: root, exclude: apart }).sort()
  const isOf = ofProtocols(servers)
  return files.filter(file => reaches(file, new Set()) && isOf(file))
}

/** The files of tests for servers that ask for tokens by themselves. */
export function findOwnLoginTests(servers: readonly FoundServer[]): readonly string[] {
  const hasPostgres = servers.some(({ kind }) => kind === 'postgres')
  const isOf = ofProtocols(servers)
  // In a run for another protocol, no PostgreSQL asks for tokens by itself.
  const needsPostgres = (file: string) => /\busePostgres/.test(readFileSync(join(root, file), 'utf8'))
  const files = globSync(ofAnyLogin, { cwd: root }).sort()
  return files.filter(file => isOf(file) && (hasPostgres || !needsPostgres(file)))
}

function ofProtocols(servers: readonly FoundServer[]): (file: string) => boolean {
  const hasPostgres = servers.some(({ kind }) => kind === 'postgres')
  const hasOther = servers.some(({ kind }) => kind !== 'postgres')
  // Of one protocol alone are those that do not know the other one's.
  return file => {
    const text = readFileSync(join(root, file), 'utf8')
    return (
      (hasPostgres && /postgres|kinds|diagnos/i.test(text)) || (hasOther && /mysql|kinds|diagnos/i.test(text))
    )
  }
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
