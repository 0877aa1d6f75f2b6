import { type ConnectPolicyOptions, connectPolicy } from 'middy-rds-iam'
import { readVariable } from 'middy-rds-iam/options'
import { callWithFlags, readArguments } from './arguments.ts'
import type { Command } from './command.ts'
import { partitionFlag, warnOfGuess } from './partition.ts'

export const policy: Command = {
  help: `rds-iam policy: prints the IAM policy that lets a role connect, and do nothing else.

  rds-iam policy --resource-id db-ABCDEFGHIJKL01234 --user orders_app --region eu-west-1 --account-id 123456789012

  --resource-id id     the DbiResourceId: db-… of an instance, cluster-… of Aurora, prx-… of RDS Proxy; may be
                       repeated, and '*' is every one of the account in the Region
  --user name          the database user; may be repeated, and '*' is every one
  --region name        the database's Region (default: AWS_REGION)
  --partition name     the partition of a Region that is not known here yet (default: the Region's)
  --account-id digits  the AWS account of the database

  The id is in: aws rds describe-db-instances --query 'DBInstances[].[DBInstanceIdentifier,DbiResourceId]'
`,
  async run(args) {
    const { values } = readArguments(args, {
      'resource-id': { type: 'string', multiple: true },
      user: { type: 'string', multiple: true },
      region: { type: 'string' },
      ...partitionFlag,
      'account-id': { type: 'string' },
    })
    const options = {
      region: values.region ?? readVariable('AWS_REGION'),
      partition: values.partition,
      accountId: values['account-id'],
      resourceId: values['resource-id'],
      user: values.user,
    }
    const document = await callWithFlags(() => connectPolicy(options as ConnectPolicyOptions))
    warnOfGuess(options.region, values.partition)
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`)
    return 0
  },
}
