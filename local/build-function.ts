import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { onExit } from '../kit/src/database/on-exit.ts'
import { freshenPackage } from './fresh-package.ts'
import { type FunctionResource, root } from './template.ts'

/**
 * Bundles a function as `sam build` does: the same esbuild, called with the arguments that SAM CLI makes of
 * `BuildProperties`. What it imports of this package by name comes from `dist/`, which is built first where
 * it is old.
 *
 * The result lies inside the project, so that what the bundle leaves out, and Lambda's runtime brings, is
 * found in `node_modules`.
 *
 * @param project The folder that `CodeUri` is seen from, with the packages that the function imports.
 * @default the checkout
 * @returns The folder that holds it, `.local/build/PostgresNotesFunction` for example.
 * @see https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build-typescript.html
 */
export async function buildFunction(
  name: string,
  resource: FunctionResource,
  project = root,
): Promise<string> {
  if (project === root) await freshenPackage()
  const folder = join(project, '.local', 'build', name)
  mkdirSync(folder, { recursive: true })
  const scratch = mkdtempSync(`${folder}-`)
  const args = [...esbuildArguments(resource), `--outdir=${scratch}`]
  const cwd = join(project, resource.Properties.CodeUri)
  const bundling = promisify(execFile)(join(root, 'node_modules', '.bin', 'esbuild'), args, { cwd })
  const removeScratch = () => rmSync(scratch, { recursive: true, force: true })
  const forget = onExit(() => {
    bundling.child.kill('SIGKILL')
    removeScratch()
  })
  try {
    await bundling
    // Each file is replaced at once: another process may be starting the function from there.
    for (const entry of readdirSync(scratch, { withFileTypes: true, recursive: true })) {
      const path = relative(scratch, join(entry.parentPath, entry.name))
      if (entry.isDirectory()) mkdirSync(join(folder, path), { recursive: true })
      else renameSync(join(scratch, path), join(folder, path))
    }
  } finally {
    forget()
    removeScratch()
  }
  return folder
}

/**
 * `Minify: true` is `--minify`, `Format: esm` is `--format=esm`, and each item of a list is
 * `--external:item`.
 */
function esbuildArguments(resource: FunctionResource): readonly string[] {
  const { EntryPoints, ...properties } = resource.Metadata.BuildProperties
  const settings: FunctionResource['Metadata']['BuildProperties'] = {
    Target: 'es2020',
    Format: 'cjs',
    Minify: true,
    ...properties,
  }
  const flags = Object.entries(settings).flatMap(([key, value]) => {
    const flag = `--${key.replace(/(?!^)[A-Z]/g, '-$&').toLowerCase()}`
    if (typeof value === 'boolean') return value ? [flag] : []
    return typeof value === 'string' ? [`${flag}=${value}`] : value.map(item => `${flag}:${item}`)
  })
  return [...(EntryPoints as readonly string[]), '--bundle', '--platform=node', ...flags]
}
