import { type CheckPolicyOptions, checkPolicy, type PolicyFinding } from 'middy-rds-iam'
import { readVariable } from 'middy-rds-iam/options'
import { callWithFlags, readArguments, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { paint } from './paint.ts'
import { partitionFlag } from './partition.ts'
import { refuseTemplateFlags, type TemplateFlags, templateFlags, templateHelp } from './template-flags.ts'

const flags = {
  'resource-id': { type: 'string' },
  user: { type: 'string' },
  region: { type: 'string' },
  ...partitionFlag,
  'account-id': { type: 'string' },
  ...templateFlags,
  json: { type: 'boolean' },
} as const

type Values = ReturnType<typeof readArguments<typeof flags>>['values']

export const check: Command = {
  help: `rds-iam check: explains what is wrong with the IAM policies of a role that is to connect.

  rds-iam check policy.json --resource-id db-ABCDEFGHIJKL01234 --user orders_app
  aws iam get-role-policy --role-name orders --policy-name connect | rds-iam check - --resource-id … --user …
  aws iam get-account-authorization-details | rds-iam check - --role orders --resource-id … --user …
  rds-iam check --template template.yaml --role OrdersFunction --region eu-west-1 --resource-id … --user …

  file …                 the policies of the role, JSON, as IAM takes them or the AWS CLI prints
                         them; - is the standard input
  --resource-id id       the DbiResourceId: db-… of an instance, cluster-… of Aurora, prx-… of
                         RDS Proxy (default: the one that --parameter and --import give)
  --user name            the database user
  --region name          the database's Region (default: whichever the policies name; with
                         --template, AWS_REGION)
  --partition name       the partition of a Region that is not known here yet (default: likewise)
  --account-id digits    the AWS account of the database (default: likewise; with --template,
                         123456789012)
  --json                 print { allowed, detail, dependsOn, problems, notes }

  --template file        in place of policies, a CloudFormation or SAM template, YAML or JSON, also
                         as the CDK makes it
${templateHelp}

It ends with 0 where the user may connect and nothing is wrong, else with 1: also where that depends on something that only the
request tells, a tag of the role for example. A permissions boundary, a service control policy or a session policy may still
deny: it does not see them.
`,
  async run(args) {
    const { values, words } = readArguments(args, flags, { words: true })
    const { files, policies, notes: remarks, ...found } = await readPolicies(values, words)
    const options = {
      resourceId: values['resource-id'] ?? found.resourceId,
      user: values.user,
      region: values.region ?? found.region,
      partition: values.partition,
      accountId: values['account-id'] ?? found.accountId,
    }
    const result = await callWithFlags(() => checkPolicy(policies, options as CheckPolicyOptions))
    const { allowed, detail } = result
    const toLine = ({ policy, at, message }: PolicyFinding) => ({ file: files[policy] ?? '', at, message })
    const dependsOn = result.dependsOn.map(toLine)
    const problems = result.problems.map(toLine)
    const notes = [...remarks, ...result.notes.map(toLine)]
    const write = (text: string) => process.stdout.write(`${text}\n`)
    if (values.json) {
      write(JSON.stringify({ allowed, detail, dependsOn, problems, notes }, null, 2))
    } else {
      for (const line of problems) write(`${paint('red', 'problem', process.stdout)} ${format(line)}`)
      for (const line of dependsOn) write(`${paint('yellow', 'depends', process.stdout)} ${format(line)}`)
      for (const line of notes) write(`${paint('yellow', 'note', process.stdout)} ${format(line)}`)
      const verdict = allowed
        ? paint('green', 'may connect', process.stdout)
        : dependsOn.length > 0
          ? paint('yellow', 'depends', process.stdout)
          : paint('red', 'may not connect', process.stdout)
      write(`${verdict}: ${detail}`)
    }
    return allowed && problems.length === 0 ? 0 : 1
  },
}

/** A finding of the file as a whole, or of a place in it. */
interface Line {
  readonly file: string
  readonly at: string
  readonly message: string
}

/** What is to be checked, and what the files or the template say of the question. */
async function readPolicies(values: Values, words: readonly string[]) {
  refuseTemplateFlags(values satisfies TemplateFlags, ['parameter', 'import', 'stack'])
  const { readPolicyFile, readTemplateFlags } = await import('./policy-sources.ts')
  if (values.template !== undefined) {
    if (words.length > 0) throw new UsageError('a file of a policy and --template exclude each other')
    const region = values.region ?? readVariable('AWS_REGION')
    if (region === undefined) throw new UsageError('--template needs --region, or AWS_REGION')
    const accountId = values['account-id']
    const { document, resourceId } = await readTemplateFlags(values, {
      region,
      accountId,
      partition: values.partition,
    })
    const policies = [document]
    const notes: readonly Line[] = []
    return {
      files: [values.template],
      policies,
      notes,
      resourceId,
      region,
      accountId: accountId ?? '123456789012',
    }
  }
  if (words.length === 0) throw new UsageError('the file of a policy is needed, or -, or --template')
  const read = words.map(file => ({ file, ...readPolicyFile(file, file, values.role) }))
  const nothing = { resourceId: undefined, region: undefined, accountId: undefined }
  return {
    files: read.flatMap(({ file, documents }) => documents.map(() => file)),
    policies: read.flatMap(({ documents }) => documents),
    notes: read.flatMap(({ file, notes }) => notes.map((message): Line => ({ file, at: '', message }))),
    ...nothing,
  }
}

function format({ file, at, message }: Line): string {
  return `${file}${at === '' ? '' : ` ${at}`}: ${message}`
}
