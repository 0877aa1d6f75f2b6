import type { GatewayPolicy } from '../gateway/policy.ts'
import { UsageError, warn } from './arguments.ts'
import { partitionFlag, warnOfGuess } from './partition.ts'
import { refuseTemplateFlags, type TemplateFlags, templateFlags, templateHelp } from './template-flags.ts'

/** The flags that say who may connect. */
export const policyFlags = {
  policy: { type: 'string' },
  ...templateFlags,
  'resource-id': { type: 'string' },
  'account-id': { type: 'string' },
  ...partitionFlag,
} as const

/** How they are explained. */
export const policyHelp = `  --policy file          the IAM policy that decides who may connect, JSON as IAM takes it or
                         the AWS CLI prints it
  --template file        instead, a CloudFormation or SAM template that has it, YAML or JSON
${templateHelp}
  --resource-id id       the DbiResourceId that the policy is evaluated for, db-ABCDEFGHIJKL01234
                         (default: the one that --parameter and --import give, if there is one)
  --account-id digits    the AWS account, likewise (default: 123456789012)
  --partition name       the partition, likewise, of a Region that is not known here yet`

/** What the command line says of who may connect. */
export interface PolicyFlags extends TemplateFlags {
  readonly policy?: string | undefined
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
  const { policy, template, partition, 'account-id': accountId } = flags
  if (policy !== undefined && template !== undefined)
    throw new UsageError('--policy and --template exclude each other')
  refuseTemplateFlags(flags, ['parameter', 'import', 'stack'])
  if ((policy ?? template) === undefined) {
    const alone = (['role', 'resource-id', 'account-id', 'partition'] as const).find(
      name => flags[name] !== undefined,
    )
    if (alone !== undefined) throw new UsageError(`--${alone} goes with --policy or --template`)
    return undefined
  }
  const isGiven = (flags['resource-id'] ?? flags.parameter ?? flags.import) !== undefined
  const found = isGiven ? await readDocument(flags, region) : undefined
  if (found?.resourceId === undefined)
    throw new UsageError(`${policy === undefined ? '--template' : '--policy'} needs --resource-id`)
  const { document, resourceId } = found
  warnOfGuess(region, partition)
  return { document, resourceId, accountId, partition }
}

async function readDocument(flags: PolicyFlags, region: string) {
  const { policy, role, partition, 'account-id': accountId, 'resource-id': resourceId } = flags
  const { mergePolicies, readPolicyFile, readTemplateFlags } = await import('./policy-sources.ts')
  if (policy === undefined) {
    const found = await readTemplateFlags(flags, { region, accountId, partition })
    return { ...found, resourceId: resourceId ?? found.resourceId }
  }
  const { documents, notes } = readPolicyFile(`--policy ${policy}`, policy, role)
  for (const note of notes) warn(note)
  return { document: mergePolicies(documents), resourceId }
}
