// What the tests of isolation share: handlers in Lambda, and what one invocation leaves to the next.
import assert from 'node:assert/strict'
import type { RdsIamOptions } from '../../../src/pg.ts'
import type { Db, Row } from '../../support/db.ts'
import type { Handler, Kind } from '../../support/kinds.ts'
import { inLambda, lambdaContext } from '../../support/lambda.ts'

/** Variables of an environment that runs several invocations at once. */
export const managedInstances = {
  AWS_LAMBDA_INITIALIZATION_TYPE: 'lambda-managed-instances',
  AWS_LAMBDA_MAX_CONCURRENCY: '16',
}

/** A handler in an execution environment of Lambda, which connects when an invocation asks it to. */
export function createLambdaHandler(
  { createHandler }: Pick<Kind, 'createHandler'>,
  options: RdsIamOptions,
  variables: Readonly<Record<string, string>> = {},
): Handler {
  return inLambda(
    () =>
      createHandler({
        prefetch: false,

        ...options,
      }),
    variables,
  )
}

/** Runs the SQL once on each server of these. */
export async function prepareServers(
  kinds: readonly Kind[],
  statements: (kind: Kind) => readonly string[],
): Promise<void> {
  const prepared = new Set<unknown>()
  for (const kind of kinds) {
    if (prepared.has(kind.gate)) continue
    prepared.add(kind.gate)
    for (const statement of statements(kind)) await kind.administer(statement)
  }
}

/** The rows of a query, or the driver's code of its error. */
export const tell = async (db: Pick<Db, 'query'>, sql: string): Promise<unknown> => {
  try {
    return ((await db.query(sql)) as readonly Row[]).map(row => ({ ...row }))
  } catch (error) {
    return (error as { code?: string }).code
  }
}

/** Waits in turns of the event loop, and fails after five seconds. */
export async function until(isSo: () => unknown, what: string): Promise<void> {
  const endMs = performance.now() + 5_000
  while (!(await isSo())) {
    assert.ok(performance.now() < endMs, `in vain waited until ${what}`)
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** Something of a session that an invocation changes. */
export interface Leftover {
  readonly name: string
  readonly did: readonly string[]
  /** Tells whether a session has it. */
  readonly look: string
  /** Whether to look at it takes it away. */
  readonly isGoneOnceSeen?: true
  /** Ways of {@link Ways} that cannot be gone with it. */
  readonly not?: readonly string[]
  /** The database user, where an ordinary one may not do that. */
  readonly user?: string
  /** Whether MySQL 5.6 can take it back too. */
  readonly isAnywhere?: true
  /** Whether nothing but another connection takes it back. */
  readonly needsAnother?: true
}

/** How an invocation does something and ends, by what is said of it. */
export type Ways = Readonly<Record<string, (did: readonly string[]) => readonly string[]>>

export const commonWays: Ways = {
  returned: did => did,
  threw: did => did,
  'left a transaction open': did => ['BEGIN', ...did],
  'left a failed transaction open': did => ['BEGIN', ...did, 'SELECT nonsense'],
}

/** One invocation leaves something in each way, and another one behind each finds nothing of it, on the same connection. */
export async function assertNothingLeft(kind: Kind, leftover: Leftover, ways: Ways): Promise<void> {
  const { did, look, user, not = [], isGoneOnceSeen, needsAnother } = leftover
  const { gateway, options } = await kind.gate()
  const handler = createLambdaHandler(kind, { ...options, ...(user !== undefined && { user }), max: 1 })
  const ask = () => handler(db => tell(db, look), lambdaContext())
  try {
    const clean = await ask()
    for (const [way, sqlOf] of Object.entries(ways)) {
      if (not.includes(way)) continue
      const invocation = handler(async db => {
        const connection = await db.take()
        try {
          for (const statement of sqlOf(did)) {
            const run = connection.query(statement)
            await (statement === 'SELECT nonsense' ? run.catch(() => {}) : run)
          }
          if (way === 'returned' && !isGoneOnceSeen)
            assert.notDeepEqual(await tell(connection, look), clean, 'there is nothing to be taken back')
          if (way === 'threw') throw new Error('the handler failed')
        } finally {
          connection.release()
        }
      }, lambdaContext())
      await (way === 'threw' ? assert.rejects(invocation, /the handler failed/) : invocation)
      assert.deepEqual(await ask(), clean, `after an invocation that ${way}`)
    }
    const tried = Object.keys(ways).length - not.length
    assert.equal(gateway.stats().connections, needsAnother ? 1 + tried : 1)
  } finally {
    // Locks that are left keep nobody waiting.
    await handler(db => db.end(), lambdaContext())
  }
}
