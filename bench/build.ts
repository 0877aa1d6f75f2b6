import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { buildFunction } from '../local/build-function.ts'
import { type FunctionResource, readTemplate, root } from '../local/template.ts'

/**
 * Bundles every file of a folder of the benchmark into a function of its own, with the settings that `template.yaml` has for the sample.
 *
 * @param source For example `bench/functions`.
 * @param external What the bundles leave out. @default as the template has it
 * @returns The folder that holds the bundles.
 */
export function buildBundles(name: string, source: string, external?: readonly string[]): Promise<string> {
  const { Metadata, Properties, ...rest } = readTemplate().Resources.NotesFunction
  const BuildProperties = {
    ...Metadata.BuildProperties,
    EntryPoints: readdirSync(join(root, source)),
    ...(external && { External: external }),
  }
  const resource: FunctionResource = {
    ...rest,
    Properties: { ...Properties, CodeUri: source },
    Metadata: { ...Metadata, BuildProperties },
  }
  return buildFunction(`bench-${name}`, resource)
}

/** In kB, that is 1000 bytes. */
export function bundleSize(folder: string, name: string): number {
  return statSync(join(folder, `${name}.mjs`)).size / 1000
}
