import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { buildFunction } from '../local/build-function.ts'
import type { Stack } from '../local/stack.ts'
import { readTemplate, root } from '../local/template.ts'

type BuildProperties = Readonly<Record<string, boolean | string | readonly string[]>>

/** The settings of esbuild that `template.yaml` has for the sample function of an engine. */
export function buildPropertiesOf({ functionName }: Pick<Stack, 'functionName'>): BuildProperties {
  return readTemplate().Resources[functionName].Metadata.BuildProperties
}

/**
 * Bundles files of the benchmark, each into a function of its own.
 *
 * @param sources Files or folders, for example `bench/functions/postgres`.
 * @returns The folder that holds the bundles.
 */
export function buildBundles(
  name: string,
  sources: readonly string[],
  stack: Pick<Stack, 'functionName'>,
  properties: BuildProperties = buildPropertiesOf(stack),
): Promise<string> {
  const { Metadata, ...resource } = readTemplate().Resources[stack.functionName]
  const files = sources.flatMap(source =>
    source.endsWith('.ts') ? [source] : readdirSync(join(root, source)).map(file => `${source}/${file}`),
  )
  // From the folder that the template builds in, because the settings name paths.
  const EntryPoints = files.map(file => `../${file}`)
  const BuildProperties = { ...properties, EntryPoints }
  return buildFunction(`bench-${name}`, { ...resource, Metadata: { ...Metadata, BuildProperties } })
}

/** In kB, that is 1000 bytes. */
export function bundleSize(folder: string, name: string): number {
  return statSync(join(folder, `${name}.mjs`)).size / 1000
}
