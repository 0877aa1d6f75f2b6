import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { rdsIam } from 'middy-rds-iam/esbuild'
import { buildFunction } from '../local/build-function.ts'
import { type Stack, standInIdentity } from '../local/stack.ts'
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

/** Bundles one more file into the folder of `buildBundles`, by the plugin, with the authorities of one Region. */
export async function buildByPlugin(source: string, folder: string, name: string): Promise<void> {
  await build({
    entryPoints: [join(root, source)],
    outfile: join(folder, `${name}.mjs`),
    bundle: true,
    format: 'esm',
    mainFields: ['module', 'main'],
    minify: true,
    platform: 'node',
    target: 'node24',
    plugins: [rdsIam({ regions: [standInIdentity.AWS_REGION] })],
  })
}

/** In kB, that is 1000 bytes. */
export function bundleSize(folder: string, name: string): number {
  return statSync(join(folder, `${name}.mjs`)).size / 1000
}
