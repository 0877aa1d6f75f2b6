import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from '../servers/child.ts'
import { root } from '../template.ts'

/** A way in which a server asks for a token by itself. */
export type PluginName = 'mysql' | 'mariadb' | 'pam'

const ownSources = join(root, 'local', 'plugins')
const ownCache = join(root, '.local', 'plugins')

/**
 * Builds what has a server ask for authentication tokens by itself, by the C compiler of this machine; once for
 * each state of the sources.
 *
 * @param sources The folder of the sources.
 * @param cache Where libraries are kept.
 * @returns The path of the library.
 * @throws {Error} In one line, where there is no compiler or it does not build.
 */
export async function buildPlugin(name: PluginName, sources = ownSources, cache = ownCache): Promise<string> {
  const files = globSync('*.{c,h}', { cwd: sources }).sort()
  const texts = files.map(file => readFileSync(join(sources, file)))
  const state = createHash('sha256').update(Buffer.concat(texts)).digest('hex').slice(0, 12)
  const library = join(cache, `${name}-${process.platform}-${process.arch}-${state}.so`)
  if (existsSync(library)) return library
  mkdirSync(cache, { recursive: true })
  // A library in the cache is whole: it is built under another name, and others may be building it, too.
  const half = `${library}.${process.pid}`
  try {
    await runChild('cc', ['-O2', '-shared', '-fPIC', '-o', half, join(sources, `${name}.c`)])
    renameSync(half, library)
  } finally {
    rmSync(half, { force: true })
  }
  return library
}
