import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CloudFormationTemplate, parseTemplate } from 'rds-iam-kit'

/** What `cdk synth` wrote. */
export interface Assembly extends Disposable {
  readonly folder: string
  /** For example `Orders.template.json`. */
  pathOf(file: string): string
  readTemplate(stack: string): CloudFormationTemplate & { readonly Resources: Resources }
}

type Resources = Readonly<Record<string, Resource>>

export interface Resource {
  readonly Type: string
  // biome-ignore lint/suspicious/noExplicitAny: each type of resource has others
  readonly Properties: any
  readonly DependsOn?: readonly string[]
  readonly Metadata?: Readonly<Record<string, unknown>>
}

/** Runs `cdk synth` as a developer does. No account is known, and nothing is asked of the network. */
export function synthesize(): Assembly {
  const folder = mkdtempSync(join(tmpdir(), 'cdk-out-'))
  const args = ['cdk', 'synth', '--quiet', '--no-notices', '--output', folder]
  execFileSync('npx', args, {
    cwd: join(import.meta.dirname, '..'),
    env: { ...process.env, AWS_EC2_METADATA_DISABLED: 'true', CDK_DISABLE_CLI_TELEMETRY: 'true' },
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  const pathOf = (file: string) => join(folder, file)
  return {
    folder,
    pathOf,
    readTemplate: stack => {
      const text = readFileSync(pathOf(`${stack}.template.json`), 'utf8')
      return parseTemplate(text) as ReturnType<Assembly['readTemplate']>
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** The only resource of a type whose construct's path begins so. */
export function find(resources: Resources, type: string, path = ''): readonly [id: string, Resource] {
  const found = Object.entries(resources).filter(
    ([, { Type, Metadata }]) => Type === type && String(Metadata?.['aws:cdk:path']).startsWith(path),
  )
  const [only] = found
  if (only === undefined || found.length > 1) throw new Error(`${found.length} of ${type} at ${path}`)
  return only
}
