import { partitionNames } from '../identifiers/region.ts'

/** The six fields of an ARN. A field may hold wildcards. */
export interface ArnFields {
  readonly partition: string
  readonly service: string
  readonly region: string
  readonly accountId: string
  /** Everything behind the account, for example `dbuser:db-ABCDEFGHIJKL01234/orders_app`. */
  readonly rest: string
}

/**
 * Completes an ARN as IAM does: `arn:aws:rds-db` is `arn:aws:rds-db:*:*:*`.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
 */
export function completeArn(text: string): string {
  const fields = splitFields(text)
  return text === '*' ? text : [...fields, ...Array(Math.max(0, 6 - fields.length)).fill('*')].join(':')
}

/** Splits an ARN, completed as IAM does it. */
export function splitArn(text: string): ArnFields {
  const fields = splitFields(completeArn(text))
  const [, partition = '', service = '', region = '', accountId = '', ...rest] = fields
  return { partition, service, region, accountId, rest: rest.join(':') }
}

/**
 * Says why IAM does not take a text as a resource, as a clause; `undefined` if it does.
 *
 * @param given The partition of a Region that is not known here, if somebody says so.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
 */
export function arnProblem(text: string, given?: string): string | undefined {
  if (text === '*') return undefined
  const quoted = JSON.stringify(text)
  if (!text.startsWith('arn:')) return `the resource ${quoted} must be an ARN, or "*"`
  const [, partition = '', service = '', ...others] = splitFields(text)
  const [variable] = /\$\{[^}]*\}/.exec(partition + service) ?? []
  if (variable !== undefined)
    return `has ${variable} in it, which only Fn::Sub of CloudFormation puts a value for`
  if (partition !== '*' && partition !== given && !partitionNames.includes(partition))
    return `the partition ${JSON.stringify(partition)} does not exist; it is one of ${partitionNames.toSorted().join(', ')}`
  if (service === '') return `the resource ${quoted} must name a service behind the partition`
  if (/[*?]/.test(service))
    return `the service must be written out, without a wildcard, got ${JSON.stringify(service)}`
  // IAM completes an ARN at its end only.
  if (others.length < 3 && others.includes(''))
    return `the resource ${quoted} must have all of its six fields, or none behind the last one`
  return undefined
}

/** The colon of a policy variable, `${aws:userid}`, ends no field. */
function splitFields(text: string): string[] {
  const hidden = text.replace(/\$\{[^}]*\}/g, variable => variable.replaceAll(':', '\0'))
  return hidden.split(':').map(field => field.replaceAll('\0', ':'))
}
