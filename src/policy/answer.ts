/**
 * What can be known without a request: yes, no, or what it depends on, for example
 * `['the condition key aws:PrincipalTag/team']`.
 */
export type Answer = boolean | readonly string[]

/** Yes if one of them is, else what they depend on, else no. */
export function either(answers: readonly Answer[]): Answer {
  return answers.includes(true) || merge(answers)
}

/** No if one of them is, else what they depend on, else yes. */
export function both(answers: readonly Answer[]): Answer {
  return negate(either(answers.map(negate)))
}

export function negate(answer: Answer): Answer {
  return typeof answer === 'boolean' ? !answer : answer
}

function merge(answers: readonly Answer[]): Answer {
  const reasons = answers.flatMap(answer => (typeof answer === 'boolean' ? [] : answer))
  return reasons.length > 0 && [...new Set(reasons)]
}
