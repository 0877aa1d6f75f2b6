import { type CheckPolicyOptions, checkPolicy, type PolicyFinding } from 'middy-rds-iam'
import { callWithFlags, readArguments, readInput, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { paint } from './paint.ts'
import { partitionFlag } from './partition.ts'

export const check: Command = {
  help: `rds-iam check: explains what is wrong with the IAM policies of a role that is to connect.

  rds-iam check policy.json --resource-id db-ABCDEFGHIJKL01234 --user orders_app
  aws iam get-role-policy --role-name orders --policy-name connect | rds-iam check - --resource-id … --user …

  file …               the policies of the role, JSON, as IAM takes or gives them; - is the standard input
  --resource-id id     the DbiResourceId: db-… of an instance, cluster-… of Aurora, prx-… of RDS Proxy
  --user name          the database user
  --region name        the database's Region (default: whichever the policies name)
  --partition name     the partition of a Region that is not known here yet (default: likewise)
  --account-id digits  the AWS account of the database (default: whichever the policies name)
  --json               print { allowed, detail, problems, notes }

It ends with 0 where the user may connect and nothing is wrong, else with 1. A permissions boundary, a service control policy or
a session policy may still deny: it does not see them.
`,
  async run(args) {
    const { values, words: files } = readArguments(
      args,
      {
        'resource-id': { type: 'string' },
        user: { type: 'string' },
        region: { type: 'string' },
        ...partitionFlag,
        'account-id': { type: 'string' },
        json: { type: 'boolean' },
      },
      { words: true },
    )
    if (files.length === 0) throw new UsageError('the file of a policy is needed, or -')
    const options = {
      resourceId: values['resource-id'],
      user: values.user,
      region: values.region,
      partition: values.partition,
      accountId: values['account-id'],
    }
    const policies = files.map(readPolicyFile)
    const { allowed, detail, ...found } = await callWithFlags(() =>
      checkPolicy(policies, options as CheckPolicyOptions),
    )
    const toLine = ({ policy, at, message }: PolicyFinding) => ({ file: files[policy] ?? '', at, message })
    const problems = found.problems.map(toLine)
    const notes = found.notes.map(toLine)
    const write = (text: string) => process.stdout.write(`${text}\n`)
    if (values.json) {
      write(JSON.stringify({ allowed, detail, problems, notes }, null, 2))
    } else {
      for (const line of problems) write(`${paint('red', 'problem', process.stdout)} ${format(line)}`)
      for (const line of notes) write(`${paint('yellow', 'note', process.stdout)} ${format(line)}`)
      const verdict = allowed
        ? paint('green', 'may connect', process.stdout)
        : paint('red', 'may not connect', process.stdout)
      write(`${verdict}: ${detail}`)
    }
    return problems.length === 0 ? 0 : 1
  },
}

function format({
  file,
  at,
  message,
}: {
  readonly file: string
  readonly at: string
  readonly message: string
}): string {
  return `${file}${at === '' ? '' : ` ${at}`}: ${message}`
}

function readPolicyFile(path: string): unknown {
  const document: unknown = readInput(path, path, JSON.parse)
  // What `aws iam get-role-policy` and `aws iam get-policy-version` put around it.
  const { PolicyDocument: inline, PolicyVersion: managed } = Object(document)
  return inline ?? managed?.Document ?? document
}
