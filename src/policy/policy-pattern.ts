import type { Answer } from './answer.ts'
import type { Session } from './policy-session.ts'

/** How a pattern is read. */
export interface PatternRules {
  /** Puts values for policy variables. @default none: they are text, as in the Version "2008-10-17" */
  readonly session?: Session | undefined
  /** @default false */
  readonly ignoreCase?: boolean
  /** Whether `*` and `?` are what they are in a text that has no wildcards. @default false */
  readonly literal?: boolean
  /** Whether the first five fields of an ARN keep their wildcards to themselves. @default false */
  readonly arn?: boolean
}

/** One character, or a wildcard. */
interface Step {
  /** `undefined` for a wildcard. */
  readonly character?: string
  readonly isMany?: boolean
  readonly isWithinField?: boolean
}

/** What is between the braces of a policy variable: the key, and a default value in quotes. */
const variable = /\$\{([^}]*)\}/g

/** A policy variable of a text. `${*}`, `${?}` and `${$}` are characters and none of these. */
export interface PolicyVariable {
  /** As it is written, for example `${aws:username}`. */
  readonly text: string
  readonly key: string
  readonly fallback: string | undefined
}

/**
 * The policy variables of a text.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
 */
export function variablesOf(text: string): PolicyVariable[] {
  return [...text.matchAll(variable)]
    .map(([text]) => readVariable(text))
    .filter(({ key }) => !/^[*?$]$/.test(key))
}

/**
 * The first policy variable of a text that has no value in a session, and why: the text then covers nothing.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-no-value
 */
export function findUnresolved(
  text: string,
  session: Session,
): { readonly variable: string; readonly why: string } | undefined {
  for (const { text: variable, key, fallback } of variablesOf(text)) {
    const found = session(key)
    if ('absent' in found && fallback === undefined) return { variable, why: found.absent }
  }
  return undefined
}

/**
 * The first policy variable of a text that has no value in a session, or may have none. AWS says only that a
 * statement with it may be invalid, so what is to be unlike such a text is not known.
 */
export function findUncertain(text: string, session: Session): string | undefined {
  const isUncertain = ({ key, fallback }: PolicyVariable) => {
    const found = session(key)
    return fallback === undefined && !('value' in found) && !('shape' in found && found.shape !== '*')
  }
  return variablesOf(text).find(isUncertain)?.text
}

/**
 * Whether a pattern covers a text: `*` stands for any characters, `?` for exactly one, and a policy variable
 * for its value. What depends on a value that only the request tells, names it.
 */
export function covers(pattern: string, text: string, rules: PatternRules = {}): Answer {
  const { session, ignoreCase = false } = rules
  const fold = (given: string) => (ignoreCase ? given.toLowerCase() : given)
  if (session !== undefined && findUnresolved(pattern, session) !== undefined) return false
  const open: string[] = []
  const resolve = (text: string): readonly Step[] => {
    const { key, fallback } = readVariable(text)
    if (/^[*?$]$/.test(key)) return literally(key)
    const found = session?.(key) ?? { absent: '' }
    if ('value' in found) return literally(fold(found.value))
    if ('absent' in found) return literally(fold(fallback ?? ''))
    open.push(`the policy variable ${text}`)
    return wildly(fallback === undefined ? fold(found.shape) : '*')
  }
  const parts = session === undefined ? [pattern] : pattern.split(/(\$\{[^}]*\})/)
  const steps = parts.flatMap((part, index) => {
    if (index % 2 === 1) return resolve(part)
    return rules.literal ? literally(fold(part)) : wildly(fold(part))
  })
  if (!matchSteps(rules.arn ? keepToFields(steps) : steps, [...fold(text)])) return false
  return open.length === 0 || open
}

function readVariable(text: string): PolicyVariable {
  const [, key = '', fallback] = /^\$\{\s*([^,]*?)\s*(?:,\s*'([^']*)'\s*)?\}$/s.exec(text) ?? []
  return { text, key, fallback }
}

const literally = (text: string): Step[] => [...text].map(character => ({ character }))

const wildly = (text: string): Step[] =>
  [...text].map(character =>
    character === '*' ? { isMany: true } : character === '?' ? { isMany: false } : { character },
  )

/**
 * A star at the end of a field may go on behind the colon, any other wildcard of the first five fields may
 * not.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
 */
function keepToFields(steps: readonly Step[]): Step[] {
  let field = 0
  return steps.map((step, index) => {
    if (step.character === ':') field += 1
    if (step.character !== undefined || field >= 5) return step
    const next = steps[index + 1]
    const isLast = next === undefined || next.character === ':'
    return step.isMany && isLast ? step : { ...step, isWithinField: true }
  })
}

/**
 * Goes through the text once, and keeps all steps that may come next. The time is that of the text's length
 * times the pattern's, whatever the two are: a regular expression could be made slow by a malicious name.
 */
function matchSteps(steps: readonly Step[], characters: readonly string[]): boolean {
  const passStars = (reached: Uint8Array): Uint8Array => {
    for (const [at, { isMany }] of steps.entries()) if (reached[at] && isMany) reached[at + 1] = 1
    return reached
  }
  let reached = passStars(Uint8Array.of(1, ...new Uint8Array(steps.length)))
  for (const character of characters) {
    const next = new Uint8Array(steps.length + 1)
    for (const [at, step] of steps.entries()) {
      const fits =
        step.character === undefined
          ? !(step.isWithinField && character === ':')
          : step.character === character
      if (reached[at] && fits) next[step.isMany ? at : at + 1] = 1
    }
    reached = passStars(next)
  }
  return reached[steps.length] === 1
}
