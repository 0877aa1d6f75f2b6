import { caBundleOf, isRegionName } from 'middy-rds-iam/identifiers'
import { readVariable } from 'middy-rds-iam/options'
import { amazonRoots, loadRegionRoots, regions } from 'middy-rds-iam/roots'
import { readArguments, UsageError } from './arguments.ts'
import type { Command } from './command.ts'

export const ca: Command = {
  help: `rds-iam ca: prints the certificate authorities that a database is verified against, PEM.

  rds-iam ca --region eu-west-1 > rds.pem

  --region name  the database's Region, or all (default: AWS_REGION)

They are those of Amazon RDS in the Region, and those of Amazon Trust Services, which certificates of RDS Proxy come from.
`,
  async run(args) {
    const { values } = readArguments(args, {
      region: { type: 'string' },
    })
    const region = values.region ?? readVariable('AWS_REGION')
    if (region === undefined) throw new UsageError('--region is needed, or AWS_REGION')
    const wanted = region === 'all' ? regions : [region]
    const roots = (await Promise.all(wanted.map(loadRegionRoots))).flat()
    if (roots.length === 0) throw new UsageError(notCarried(region))
    process.stdout.write([...roots, ...amazonRoots].map(pem => `${pem.trim()}\n`).join(''))
    return 0
  },
}

function notCarried(region: string): string {
  const got = `; got ${JSON.stringify(region)}`
  if (!isRegionName(region))
    return `--region is neither the name of a Region, such as eu-west-1, nor all${got}`
  return `--region is none whose authorities are carried here (AWS gives them: ${caBundleOf(region)})${got}`
}
