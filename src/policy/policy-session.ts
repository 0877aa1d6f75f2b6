import { isRegionName } from '../identifiers/region.ts'
import { splitArn } from './policy-arn.ts'

/**
 * What the session of a role has for a condition key: a value; nothing; or a value that only the request
 * tells, and its shape as a pattern.
 */
export type SessionValue =
  | { readonly value: string }
  | { readonly absent: string }
  | { readonly shape: string }

/** Looks a condition key up, in whatever case it is written. */
export type Session = (key: string) => SessionValue

/** Condition keys that RDS never tells IAM, in lower case. */
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
export const unsupportedKeys: readonly string[] = [
  ...['aws:referer', 'aws:sourceip', 'aws:sourcevpc', 'aws:sourcevpce', 'aws:useragent', 'aws:vpcsourceip'],
]

/**
 * What the session of a role has that asks to connect. Functions, tasks and instances sign as a role, and so
 * does whoever assumes one.
 *
 * @param arn The database and the user. They tell the account and the Region: RDS knows only principals of
 * the database's own account.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-infotouse
 */
export function sessionOfRole(arn: string): Session {
  const { partition, region, accountId } = splitArn(arn)
  const account = /^\d{12}$/.test(accountId) ? { value: accountId } : { shape: '*' }
  const noUser = { absent: 'the session of a role does not have' }
  const noService = { absent: 'only requests of an AWS service itself have' }
  const values: Readonly<Record<string, SessionValue>> = {
    'aws:username': noUser,
    // The role's unique id, and the name of the session: for Lambda, that of the function.
    'aws:userid': { shape: 'AROA*:*' },
    'aws:principaltype': { value: 'AssumedRole' },
    'aws:principalarn': { shape: `arn:${partition}:iam::${'value' in account ? accountId : '*'}:role/*` },
    'aws:principalaccount': account,
    'aws:principalisawsservice': { value: 'false' },
    'aws:principalservicename': noService,
    'aws:principalservicenameslist': noService,
    'aws:requestedregion': isRegionName(region) ? { value: region } : { shape: '*' },
  }
  return given => {
    const key = given.toLowerCase()
    if (unsupportedKeys.includes(key)) return { absent: 'IAM database authentication does not support' }
    return (Object.hasOwn(values, key) ? values[key] : undefined) ?? { shape: '*' }
  }
}
