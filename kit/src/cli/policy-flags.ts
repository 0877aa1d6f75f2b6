import { readFileSync } from 'node:fs'
import type { GatewayPolicy } from '../gateway/policy.ts'
import { readTemplatePolicy } from '../gateway/template.ts'
import { UsageError } from './usage.ts'

/** What the command line says of who may connect. */
export interface PolicyFlags {
  readonly policy?: string | undefined
  readonly template?: string | undefined
  readonly parameter?: readonly string[] | undefined
  readonly role?: string | undefined
  readonly 'resource-id'?: string | undefined
  readonly 'account-id'?: string | undefined
}

/** Reads the policy that the gateway evaluates from a file: a policy, or a template that has one. */
export async function readPolicyFlags(
  flags: PolicyFlags,
  region: string,
): Promise<GatewayPolicy | undefined> {
  const { policy, template, parameter, role, 'resource-id': resourceId, 'account-id': accountId } = flags
  if (policy !== undefined && template !== undefined)
    throw new UsageError('--policy and --template exclude each other')
  if (template === undefined && (parameter ?? role) !== undefined)
    throw new UsageError('--parameter and --role go with --template')
  const file = policy ?? template
  if (file === undefined) {
    if ((resourceId ?? accountId) !== undefined)
      throw new UsageError('--resource-id and --account-id go with --policy or --template')
    return undefined
  }
  const flag = policy === undefined ? '--template' : '--policy'
  if (resourceId === undefined) throw new UsageError(`${flag} needs --resource-id`)
  const text = readText(flag, file)
  if (policy !== undefined)
    return { document: parsed(flag, file, () => JSON.parse(text)), resourceId, accountId }
  // Loads a parser of YAML, which nobody else needs.
  const { parseTemplate } = await import('../gateway/template-file.ts')
  const document = readTemplatePolicy(
    parsed(flag, file, () => parseTemplate(text)),
    { region, accountId, role, parameters: readParameters(parameter ?? []) },
  )
  return { document, resourceId, accountId }
}

function readText(flag: string, file: string): string {
  return parsed(flag, file, () => readFileSync(file, 'utf8'))
}

function parsed<T>(flag: string, file: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new UsageError(`${flag} ${file}: ${error instanceof Error ? error.message : 'cannot be read'}`)
  }
}

function readParameters(texts: readonly string[]): Readonly<Record<string, string>> {
  const parameters = texts.map(readParameter)
  const names = parameters.map(([name]) => name)
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice !== undefined) throw new UsageError(`--parameter ${twice} is given twice`)
  return Object.fromEntries(parameters)
}

function readParameter(text: string): readonly [name: string, value: string] {
  const [, name, value] = /^([A-Za-z0-9.]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined)
    throw new UsageError(`--parameter must be Name=Value, got "${text}"`)
  return [name, value]
}
