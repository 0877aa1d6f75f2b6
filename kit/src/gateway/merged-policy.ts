import { isRecord, mapTexts } from './template-parts.ts'

/** A statement of one of a role's policies. */
export interface RoleStatement {
  readonly statement: unknown
  /** Whether policy variables are what they are in it, as in the Version "2012-10-17" alone. */
  readonly hasVariables: boolean
}

/** A policy with all statements of a role. */
export interface MergedPolicy {
  readonly Version: '2012-10-17'
  readonly Statement: readonly unknown[]
}

/**
 * Makes one policy of the statements of several, which decides as they do together. Where a policy has an
 * older version, `${` is text in it; and a Sid is its statement's own in one policy only.
 */
export function mergeStatements(statements: readonly RoleStatement[]): MergedPolicy {
  const seen = new Set<unknown>()
  const Statement = statements.map(({ statement, hasVariables }) => {
    const same = hasVariables ? statement : mapTexts(statement, takeForText)
    if (!isRecord(same) || same.Sid === undefined) return same
    const { Sid, ...rest } = same
    if (seen.has(Sid)) return rest
    seen.add(Sid)
    return same
  })
  return { Version: '2012-10-17', Statement }
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars */
function takeForText(text: string): string {
  return text.replaceAll('$' + '{', () => '$' + '{$}{')
}
