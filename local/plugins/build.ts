import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from '../servers/child.ts'
import { root } from '../template.ts'

/** A way in which a server asks for a token by itself. */
export type PluginName = 'mysql' | 'mariadb' | 'pam'

const sources = join(root, 'local', 'plugins')
const cache = join(root, '.local', 'plugins')

/**
 * Builds what has a server ask for authentication tokens by itself, by the C compiler of this machine; once for
 * each state of the sources.
 *
 * @returns The path of the library.
 * @throws {Error} In one line, where there is no compiler or it does not build.
 */
export async function buildPlugin(name: PluginName, folder = sources): Promise<string> {
  const texts = globSync('*.{c,h}', { cwd: folder })
    .sort()
    .map(file => readFileSync(join(folder, file)))
  const state = createHash('sha256').update(Buffer.concat(texts)).digest('hex').slice(0, 12)
  const library = join(cache, `${name}-${process.platform}-${process.arch}-${state}.so`)
  if (existsSync(library)) return library
  mkdirSync(cache, { recursive: true })
  // A library in the cache is whole: it is built under another name, and others may be building it, too.
  const half = `${library}.${process.pid}`
  try {
    await runChild('cc', ['-O2', '-Wall', '-shared', '-fPIC', '-o', half, join(folder, `${name}.c`)])
    renameSync(half, library)
  } finally {
    rmSync(half, { force: true })
  }
  return library
}
