import type { GatewayPolicy } from '../gateway/policy.ts'
import { readTemplatePolicy } from '../gateway/template.ts'
import { callWithFlags, readInput, UsageError } from './arguments.ts'
import { partitionFlag, warnOfGuess } from './partition.ts'

/** The flags that say who may connect. */
export const policyFlags = {
  policy: { type: 'string' },
  template: { type: 'string' },
  parameter: { type: 'string', multiple: true },
  role: { type: 'string' },
  'resource-id': { type: 'string' },
  'account-id': { type: 'string' },
  ...partitionFlag,
} as const

/** How they are explained. */
export const policyHelp = `  --policy file          the IAM policy that decides who may connect, JSON
  --template file        instead, a CloudFormation or SAM template that has it, YAML or JSON
  --parameter Name=Value a parameter of the template, or an attribute that only a deployed stack
                         has, Database.DbiResourceId=db-ABCDEFGHIJKL01234; may be repeated
  --role name            the role of the template, or the function that has it (needed where
                         several may connect)
  --resource-id id       the DbiResourceId that the policy is evaluated for, db-ABCDEFGHIJKL01234
  --account-id digits    the AWS account, likewise (default: 123456789012)
  --partition name       the partition, likewise, of a Region that is not known here yet`

/** What the command line says of who may connect. */
export interface PolicyFlags {
  readonly policy?: string | undefined
  readonly template?: string | undefined
  readonly parameter?: readonly string[] | undefined
  readonly role?: string | undefined
  readonly 'resource-id'?: string | undefined
  readonly 'account-id'?: string | undefined
  readonly partition?: string | undefined
}

/** The flags of the option `policy`, for errors. */
export function policyFlagNames({ template }: PolicyFlags): Readonly<Record<string, string>> {
  return {
    'policy.document': template === undefined ? 'policy' : 'template',
    'policy.resourceId': 'resource-id',
    'policy.accountId': 'account-id',
    'policy.partition': 'partition',
  }
}

/** Reads the policy that the gateway evaluates from a file: a policy, or a template that has one. */
export async function readPolicyFlags(
  flags: PolicyFlags,
  region: string,
): Promise<GatewayPolicy | undefined> {
  const { policy, template, parameter, role, partition } = flags
  const { 'resource-id': resourceId, 'account-id': accountId } = flags
  if (policy !== undefined && template !== undefined)
    throw new UsageError('--policy and --template exclude each other')
  if (template === undefined && (parameter ?? role) !== undefined)
    throw new UsageError('--parameter and --role go with --template')
  const file = policy ?? template
  if (file === undefined) {
    if ((resourceId ?? accountId ?? partition) !== undefined)
      throw new UsageError('--resource-id, --account-id and --partition go with --policy or --template')
    return undefined
  }
  const flag = policy === undefined ? '--template' : '--policy'
  if (resourceId === undefined) throw new UsageError(`${flag} needs --resource-id`)
  warnOfGuess(region, partition)
  if (policy !== undefined)
    return { document: readInput(`${flag} ${file}`, file, JSON.parse), resourceId, accountId, partition }
  // Loads a parser of YAML, which nobody else needs.
  const { parseTemplate } = await import('../gateway/template-file.ts')
  const parsed = readInput(`${flag} ${file}`, file, parseTemplate)
  const values = { region, accountId, partition, role, parameters: readParameters(parameter ?? []) }
  return {
    document: await callWithFlags(() => readTemplatePolicy(parsed, values)),
    resourceId,
    accountId,
    partition,
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
    throw new UsageError(`--parameter is not Name=Value; got ${JSON.stringify(text)}`)
  return [name, value]
}
