import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readPolicy } from '../../kit/src/gateway/policy.ts'
import { runModule } from '../support/node-process.ts'
import { assertProperty, effort } from '../support/properties.ts'

const region = 'eu-west-1'
const resourceId = 'db-ABC'
const arnOf = (user: string) => `arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABC/${user}`

interface Statement {
  readonly Effect: 'Allow' | 'Deny'
  readonly Action?: string | string[]
  readonly NotAction?: string | string[]
  readonly Resource?: string | string[]
  readonly NotResource?: string | string[]
}

/** Says whether a pattern covers a text, by trying everything that a star may stand for. */
function matches(pattern: readonly string[], text: readonly string[]): boolean {
  const [first, ...others] = pattern
  if (first === undefined) return text.length === 0
  if (first === '*') return text.some((_, at) => matches(others, text.slice(at))) || matches(others, [])
  return text.length > 0 && (first === '?' || first === text[0]) && matches(others, text.slice(1))
}

/** What IAM makes of an ARN that ends before its sixth field. */
const complete = (arn: string) => (/^arn(?::[^:]*){1,4}$/.test(arn) ? `${arn}:*` : arn)

/** IAM's rule, in its own order: a Deny that fits wins; then an Allow that fits; else no. */
function isAllowed(statements: readonly Statement[], user: string): boolean {
  const list = (value: string | string[]) => (Array.isArray(value) ? value : [value])
  const fits = (patterns: string | string[], text: string, fold: (text: string) => string) =>
    list(patterns).some(pattern => matches([...fold(pattern)], [...fold(text)]))
  const applies = (statement: Statement): boolean => {
    const lower = (text: string) => text.toLowerCase()
    const same = (text: string) => text
    const action =
      statement.Action === undefined
        ? !fits(statement.NotAction ?? [], 'rds-db:connect', lower)
        : fits(statement.Action, 'rds-db:connect', lower)
    const resource =
      statement.Resource === undefined
        ? !fits(list(statement.NotResource ?? []).map(complete), arnOf(user), same)
        : fits(list(statement.Resource).map(complete), arnOf(user), same)
    return action && resource
  }
  const applying = statements.filter(applies)
  return (
    applying.some(({ Effect }) => Effect === 'Allow') && !applying.some(({ Effect }) => Effect === 'Deny')
  )
}

function evaluate(statements: readonly Statement[], user: string): boolean {
  const problems: string[] = []
  const document = { Version: '2012-10-17', Statement: statements }
  const evaluatePolicy = readPolicy({ document, resourceId }, region, problem => problems.push(problem))
  assert.deepEqual(problems, [])
  return evaluatePolicy(user).allowed
}

// Few characters, so that patterns and names meet; those that regular expressions know are among them.
const characters = fc.constantFrom(...('aab.+()[]{}^$|\\/-A😀é\n'.match(/./gsu) ?? []))
// A resource with a policy variable in it is no pattern, so no name looks like one here.
const user = fc.string({ unit: characters, minLength: 1, maxLength: 6 }).filter(text => !text.includes('${'))
const inPattern = fc.oneof(
  { weight: 3, arbitrary: characters },
  { weight: 2, arbitrary: fc.constantFrom('*', '?') },
)
const resource = fc.oneof(
  fc
    .string({ unit: inPattern, maxLength: 6 })
    .filter(text => !text.includes('${'))
    .map(arnOf),
  fc.constantFrom(
    '*',
    arnOf('*'),
    arnOf('??'),
    'arn:*:rds-db:*',
    'arn:aws:rds-db',
    'arn:aws:rds-db:eu-west-1:123456789012',
    'arn:aws:rds-db:*:dbuser:*/a*',
    'arn:aws:rds:*',
    'arn:aws:rds-db:us-*',
  ),
)
const action = fc.constantFrom(
  'rds-db:connect',
  'RDS-DB:Connect',
  'rds-db:*',
  'rds-db:c?nnect',
  '*',
  'rds:*',
  's3:Get*',
  'rds-db:con',
)
const oneOrMore = (text: fc.Arbitrary<string>) =>
  fc.oneof(text, fc.array(text, { minLength: 1, maxLength: 3 }))
const statement: fc.Arbitrary<Statement> = fc
  .record({
    Effect: fc.constantFrom('Allow' as const, 'Allow' as const, 'Deny' as const),
    action: oneOrMore(action),
    resource: oneOrMore(resource),
    negated: fc.integer({ min: 0, max: 15 }),
  })
  .map(({ Effect, action, resource, negated }) => ({
    Effect,
    ...(negated === 1 || negated === 2 ? { NotAction: action } : { Action: action }),
    ...(negated === 2 || negated === 3 ? { NotResource: resource } : { Resource: resource }),
  }))
const statements = fc.array(statement, { minLength: 1, maxLength: 4 })

test('a pattern covers what a naive reading of it covers', () => {
  assertProperty(
    fc.property(resource, user, (Resource, user) => {
      const expected = matches([...complete(Resource)], [...arnOf(user)])
      assert.equal(evaluate([{ Effect: 'Allow', Action: '*', Resource }], user), expected)
    }),
    { numRuns: 2_000 },
  )
})

test('a pattern made of a name covers it', () => {
  assertProperty(
    fc.property(
      user,
      fc.array(fc.tuple(fc.nat(), fc.constantFrom('*', '?', '**')), { maxLength: 4 }),
      (user, places) => {
        const characters = [...user]
        for (const [at, wildcard] of places)
          characters[at % characters.length] = wildcard === '**' ? '*' : wildcard
        assert.ok(evaluate([{ Effect: 'Allow', Action: '*', Resource: arnOf(characters.join('')) }], user))
      },
    ),
  )
})

test('a policy decides as IAM does, in whatever order its statements stand', () => {
  let allowed = 0
  const reordered = statements.chain(given =>
    fc.tuple(
      fc.constant(given),
      fc.shuffledSubarray(given, { minLength: given.length, maxLength: given.length }),
    ),
  )
  assertProperty(
    fc.property(reordered, user, ([given, shuffled], user) => {
      const expected = isAllowed(given, user)
      assert.equal(evaluate(given, user), expected)
      assert.equal(evaluate(shuffled, user), expected)
      if (expected) allowed += 1
    }),
    { numRuns: 1_000 },
  )
  assert.ok(
    allowed > 50 * effort && allowed < 950 * effort,
    `of ${1_000 * effort} policies, ${allowed} allow: too few of one kind to tell anything`,
  )
})

test('a Deny that covers wins, and nothing allows what no statement does', () => {
  assertProperty(
    fc.property(statements, user, fc.nat(), (given, user, at) => {
      const deny: Statement = { Effect: 'Deny', Action: 'rds-db:connect', Resource: arnOf('*') }
      const index = at % (given.length + 1)
      assert.equal(evaluate([...given.slice(0, index), deny, ...given.slice(index)], user), false)
      assert.equal(evaluate([deny, ...given.filter(({ Effect }) => Effect === 'Deny')], user), false)
    }),
  )
})

test('a pattern of many stars is decided at once, however long the name', async () => {
  // In a process of its own, which can be ended: tried one after the other, the places of the stars would take for ever.
  const source = `
    import { readPolicy } from ${JSON.stringify(new URL('../../kit/src/gateway/policy.ts', import.meta.url).href)}
    const Resource = ${JSON.stringify(arnOf(`${'*a'.repeat(30)}b`))}
    const document = { Statement: { Effect: 'Allow', Action: '*', Resource } }
    const evaluate = readPolicy({ document, resourceId: '${resourceId}' }, '${region}', () => {})
    console.log(evaluate('a'.repeat(5_000)).allowed)`
  assert.equal(await runModule(source), false)
})
