import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'

const tsconfigRaw = { compilerOptions: { verbatimModuleSyntax: true } }

/** Loads a file of TypeScript as what is left of it without types. */
export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const options = { loader: 'ts', format: 'esm', target: 'node22', sourcemap: 'inline', tsconfigRaw }
  const { code } = await transform(readFileSync(fileURLToPath(url), 'utf8'), options)
  return { format: 'module', source: code, shortCircuit: true }
}
