import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** For all processes: what is loaded late, within a time limit, has to be there at once. */
const cache = join(import.meta.dirname, '..', '..', '..', '..', 'stripped')

const tsconfigRaw = { compilerOptions: { verbatimModuleSyntax: true } }

/** Loads a file of TypeScript as what is left of it without types. */
export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const text = readFileSync(fileURLToPath(url), 'utf8')
  return { format: 'module', source: await strip(text), shortCircuit: true }
}

async function strip(text) {
  const file = join(cache, `${createHash('sha256').update(text).digest('hex')}.js`)
  if (existsSync(file)) return readFileSync(file, 'utf8')
  const { transform } = await import('esbuild')
  const { code } = await transform(text, { loader: 'ts', format: 'esm', target: 'node22', tsconfigRaw })
  mkdirSync(cache, { recursive: true })
  const half = `${file}.${process.pid}`
  writeFileSync(half, code)
  renameSync(half, file)
  return code
}
