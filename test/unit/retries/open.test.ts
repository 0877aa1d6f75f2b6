import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createVirtualClock, type VirtualClock } from '../../../bench/virtual-clock.ts'
import { type Access, createAccess } from '../../../src/access/access.ts'
import { postgresFailures } from '../../../src/errors/postgres-failures.ts'
import { RdsIamError } from '../../../src/errors/rds-iam-error.ts'
import type { Settings } from '../../../src/options/settings.ts'
import { beginEffort } from '../../../src/retries/effort.ts'
import { type Attempted, type Attempts, openWithRetries } from '../../../src/retries/open.ts'
import type { Asker } from '../../../src/retries/retry.ts'
import type { AttemptToken } from '../../../src/token/attempt-token.ts'
import { recordingLogger } from '../../support/lambda.ts'

const fail = (message: string, code?: string) => Object.assign(new Error(message), code && { code })
const throttled = fail('sorry, too many clients already', '53300')
const refused = fail('PAM authentication failed for user "app"', '28000')
const expired = fail('timeout expired')

const token: AttemptToken = {
  prepare() {},
  take: () => Promise.reject(new Error('not asked')),
  isAwaited: () => false,
  isReused: () => false,
  use: () => 'sent',
  refuse: () => false,
}

/** What an attempt does: how long it takes, and how it ends; forever where it never does. */
interface Conduct {
  readonly takesMs?: number
  readonly error?: Error
  readonly signsUntilMs?: number
}

const silent: Conduct = { takesMs: Number.POSITIVE_INFINITY }

interface World {
  readonly access: Access
  readonly clock: VirtualClock
  readonly logger: ReturnType<typeof recordingLogger>
  /** When attempts began, in milliseconds. */
  readonly began: number[]
  readonly beside: boolean[]
  readonly givenUp: number[]
  readonly discarded: number[]
  most: number
  /** Opens a connection, whose number is that of its attempt, from 1; each attempt does the next thing, the last one the rest. */
  open(conducts: readonly Conduct[], asker?: Partial<Asker> & { budgetMs?: number }): Promise<number>
  elapsedMs(): number
  pass(ms: number): Promise<void>
}

function createWorld(changes: object = {}): World {
  const clock = createVirtualClock(() => 0.5)
  const startMs = clock.now()
  const logger = recordingLogger()
  const settings = {
    ...{
      host: 'orders',
      port: 5432,
      user: 'app',
      database: 'orders',
      region: 'eu-west-1',
      retryRefused: true,
    },
    ...{ endpoint: { host: 'orders', port: 5432 }, failures: postgresFailures, logger, ...changes },
  } as unknown as Settings
  const access = createAccess(settings)
  let current = 0
  const world: World = {
    ...{ access, clock, logger, began: [], beside: [], givenUp: [], discarded: [], most: 0 },
    elapsedMs: () => clock.now() - startMs,
    pass: ms => clock.run(() => clock.now() - startMs >= ms),
    open(conducts, { budgetMs = 10_000, ...asker } = {}) {
      const deadlineMs = clock.now() + budgetMs
      let number = 0
      const opening = openWithRetries<number>(
        { access, settings, clock },
        { deadlineMs, account: undefined, ...asker },
        {
          attempt({ isBeside, onDial }) {
            number += 1
            const own = number
            const {
              takesMs = 20,
              error,
              signsUntilMs = 0,
            } = conducts[Math.min(own, conducts.length) - 1] ?? {}
            const beganMs = clock.now()
            world.began.push(world.elapsedMs())
            world.beside.push(isBeside)
            current += 1
            world.most = Math.max(world.most, current)
            return new Promise<Attempted<number>>(resolve => {
              const end = (ended: Attempted<number>): void => {
                current -= 1
                for (const cancel of cancels) cancel()
                resolve(ended)
              }
              const cancels = [
                clock.after(deadlineMs - clock.now(), () => end({ error: expired, token })),
                ...(takesMs < 1e9
                  ? [
                      clock.after(takesMs, () =>
                        end(error === undefined ? { connection: own } : { error, token }),
                      ),
                    ]
                  : []),
              ]
              onDial({
                isSilent: () => clock.now() - beganMs >= signsUntilMs,
                giveUp() {
                  world.givenUp.push(own)
                  end({ error: new Error('given up'), token })
                },
              })
            })
          },
          discard: connection => void world.discarded.push(connection),
        },
      )
      let isOver = false
      const over = () => {
        isOver = true
      }
      opening.then(over, over)
      void clock.run(() => isOver)
      return opening
    },
  }
  return world
}

const failureOf = async (opening: Promise<unknown>): Promise<RdsIamError> => {
  const failure = await opening.then(
    () => undefined,
    error => error,
  )
  assert.ok(failure instanceof RdsIamError, String(failure))
  return failure
}

const retriesOf = ({ logger }: World) =>
  logger.lines.filter(({ fields }) => fields.event === 'connection:retried').map(({ fields }) => fields)

test('overtakes an attempt that is silent for a fifth of the time, gives it up, and tells of it once', async () => {
  const world = createWorld()
  assert.equal(await world.open([silent, {}]), 2)
  assert.deepEqual(world.began, [0, 2_000])
  assert.deepEqual(world.beside, [false, true])
  assert.deepEqual([world.givenUp, world.discarded], [[1], []])
  const [retried, ...others] = retriesOf(world)
  assert.equal(others.length, 0)
  const { code, attempt, delayMs, refusals, error } = retried ?? {}
  assert.deepEqual(
    { code, attempt, delayMs, refusals },
    { code: 'RDS_IAM_UNREACHABLE', attempt: 1, delayMs: 0, refusals: 0 },
  )
  assert.match(String(error), /no connection within 2000 ms; another attempt goes beside it/)
})

test('is patient for half a second at least, and leaves nothing behind that keeps the process alive', async () => {
  const world = createWorld()
  assert.equal(await world.open([silent, {}], { budgetMs: 1_000 }), 2)
  assert.deepEqual(world.began, [0, 500])
  assert.equal(await createWorld().open([{ takesMs: 499 }, {}], { budgetMs: 1_000 }), 1)
  // Nobody sleeps any more, so that no time passes.
  const elapsedMs = world.elapsedMs()
  await world.pass(60_000)
  assert.ok(world.elapsedMs() <= elapsedMs + 1)
})

test('lets a server that is slow but alive end the first login, and asks it three times at most, twice at once', async () => {
  const world = createWorld()
  assert.equal(await world.open([{ takesMs: 9_500 }]), 1)
  assert.deepEqual(world.began, [0, 2_000, 6_000])
  assert.equal(world.most, 2)
  assert.deepEqual(world.givenUp, [2, 3])
})

test('does not overtake an attempt whose token is still being signed, until that is over', async () => {
  const world = createWorld()
  assert.equal(await world.open([{ takesMs: 3_900, signsUntilMs: 3_800 }, {}]), 1)
  assert.deepEqual(world.began, [0])
  const other = createWorld()
  assert.equal(await other.open([{ ...silent, signsUntilMs: 3_000 }, {}]), 2)
  assert.deepEqual(other.began, [0, 4_000])
})

test('pauses as ever beside a silent attempt where the server throttles, and takes whichever is ready first', async () => {
  const world = createWorld()
  assert.equal(await world.open([{ takesMs: 2_300 }, { error: throttled }]), 1)
  // A pause of half of 100 ms, then of 200 ms.
  assert.deepEqual(world.began, [0, 2_000, 2_070, 2_190])
  assert.equal(world.most, 2)
  await world.pass(20_000)
  assert.equal(world.began.length, 4)
})

test('warns of a refused token once, and not again of the silence behind it', async () => {
  const world = createWorld()
  assert.equal(await world.open([{ error: refused }, silent, {}]), 3)
  const told = world.logger.lines.map(({ level, fields }) => `${level} ${fields.code}`)
  assert.deepEqual(told, ['warn RDS_IAM_ACCESS_DENIED', 'debug RDS_IAM_UNREACHABLE'])
})

test('never gives company to an attempt that was answered', async () => {
  const world = createWorld()
  await failureOf(world.open([{ error: throttled, takesMs: 1_900 }]))
  assert.equal(world.most, 1)
})

test('discards a connection that is ready in the same moment as another', async () => {
  const world = createWorld()
  const served = await world.open([{ takesMs: 2_020 }, { takesMs: 20 }])
  await world.pass(3_000)
  assert.deepEqual([served, ...world.discarded, ...world.givenUp].sort(), [1, 2])
})

test('says how many attempts there were in how long, and how many had no answer', async () => {
  const world = createWorld()
  const { code, message, cause } = await failureOf(world.open([silent]))
  assert.equal(code, 'RDS_IAM_UNREACHABLE')
  assert.match(message, /after 3 attempts in 10\.0 s, 3 of them without an answer: timeout expired/)
  assert.equal(cause, expired)
})

test('says what an answer was where the others had none', async () => {
  const world = createWorld()
  const { code, message } = await failureOf(world.open([silent, { error: throttled }, silent]))
  assert.equal(code, 'RDS_IAM_THROTTLED')
  assert.match(message, /after \d attempts in 10\.0 s, \d of them without an answer: sorry, too many clients/)
})

test('tries once after a whole budget of refusals, says why, and is as patient as before once it is let in', async () => {
  const world = createWorld()
  const first = await failureOf(world.open([{ error: refused }]))
  const tried = world.began.length
  assert.ok(tried > 15)
  assert.match(first.message, new RegExp(`after ${tried} attempts in `))

  await world.pass(20_000)
  for (const count of [tried, tried + 1]) {
    const startedMs = world.elapsedMs()
    const { code, message } = await failureOf(world.open([{ error: refused }]))
    assert.equal(code, 'RDS_IAM_ACCESS_DENIED')
    assert.match(
      message,
      new RegExp(
        `after 1 attempt and no more, because ${count} were refused since 2026-01-01T00:00:00.000Z: PAM`,
      ),
    )
    assert.ok(world.elapsedMs() - startedMs <= 250)
  }
  assert.equal(world.began.length, tried + 2)

  assert.equal(await world.open([{}]), 1)
  assert.equal(await world.open([{ error: refused }, { error: refused }, { error: refused }, {}]), 4)
})

test('lets an environment that is asked again and again log in no faster than four times a second or so', async () => {
  const world = createWorld()
  await failureOf(world.open([{ error: refused }]))
  const [tried, startedMs] = [world.began.length, world.elapsedMs()]
  while (world.elapsedMs() < startedMs + 10_000) await failureOf(world.open([{ error: refused }]))
  const perSecond = (world.began.length - tried) / 10
  assert.ok(perSecond <= 8, `${perSecond} a second`)
})

test('does not take a budget for refused that was throttled or silent too, or held one refusal', async () => {
  for (const conducts of [
    [{ error: throttled }, { error: refused }],
    [silent, { error: refused }],
  ]) {
    const world = createWorld()
    await failureOf(world.open(conducts))
    assert.equal(world.access.refusals.known(), undefined)
  }
  const world = createWorld()
  await failureOf(world.open([{ error: refused }], { budgetMs: 100 }))
  assert.equal(world.access.refusals.known(), undefined)
})

test('takes a budget for refused whose last attempt had no time', async () => {
  const world = createWorld()
  const { message } = await failureOf(
    world.open([{ error: refused }, { error: refused }, silent], { budgetMs: 1_200 }),
  )
  assert.match(message, /after 3 attempts in 1\.2 s: PAM/)
  assert.equal(world.access.refusals.known()?.count, 2)
})

test('remembers nothing where refused tokens are not tried again', async () => {
  const world = createWorld({ retryRefused: false })
  for (let count = 0; count < 3; count += 1) {
    const { message } = await failureOf(world.open([{ error: refused }]))
    assert.doesNotMatch(message, /attempt|because/)
  }
  assert.equal(world.began.length, 3)
})

test('ends what is still being tried when the time of another one was used up by refusals', async () => {
  const world = createWorld()
  const other = failureOf(world.open([{ error: refused }], { budgetMs: 60_000 }))
  await failureOf(world.open([{ error: refused }]))
  const tried = world.began.length
  assert.equal((await other).code, 'RDS_IAM_ACCESS_DENIED')
  assert.ok(world.elapsedMs() < 11_000)
  assert.ok(world.began.length <= tried + 1)
})

test('keeps trying where the failure passes, whatever was refused before', async () => {
  const world = createWorld()
  await failureOf(world.open([{ error: refused }]))
  assert.equal(await world.open([{ error: throttled }, { error: throttled }, {}]), 3)
})

test('counts what was tried before for the same asker', async () => {
  const world = createWorld()
  await world.pass(0)
  const effort = {
    ...beginEffort(world.clock.now() - 9_800),
    attempts: 29,
    refusals: 29,
    cause: { error: refused, use: 'sent' as const },
  }
  const { message } = await failureOf(world.open([{ error: refused }], { budgetMs: 200, effort }))
  assert.match(message, /after 3[01] attempts in (9\.9|10\.0) s: PAM/)
})

type Terms = Parameters<Attempts<number>['attempt']>[0]

/** Opens by attempts that a test makes itself, each with its number. */
async function openBy(
  { access, clock, discarded }: World,
  attempt: (number: number, terms: Terms) => Promise<Attempted<number>>,
  { budgetMs = 10_000, ...asker }: Partial<Asker> & { readonly budgetMs?: number } = {},
): Promise<number> {
  let number = 0
  let isOver = false
  const opening = openWithRetries<number>(
    { access, settings: { retryRefused: true }, clock },
    { deadlineMs: clock.now() + budgetMs, account: undefined, ...asker },
    {
      attempt(terms) {
        number += 1
        return attempt(number, terms)
      },
      discard: connection => void discarded.push(connection),
    },
  )
  const over = () => {
    isOver = true
  }
  opening.then(over, over)
  await clock.run(() => isOver)
  return opening
}

const never = new Promise<never>(() => {})
const dialling = (giveUp = () => {}) => ({ isSilent: () => true, giveUp })

test('keeps what it knows of refusals where a pool had a connection, and nobody was asked', async () => {
  const known = { count: 9, sinceMs: 0, latestMs: 0 }
  for (const dials of [false, true]) {
    const world = createWorld()
    world.access.refusals.remember(known)
    await openBy(world, async (number, { onDial }) => {
      if (dials) onDial(dialling())
      return { connection: number }
    })
    assert.deepEqual(world.access.refusals.known(), dials ? undefined : known)
  }
})

test('explains an error that is not about opening a connection, and tries no other', async () => {
  const world = createWorld()
  let attempts = 0
  const failure = await failureOf(
    openBy(
      world,
      async () => {
        attempts += 1
        return { error: refused, token: undefined }
      },
      { account: '123456789012' },
    ),
  )
  assert.equal(failure.cause, refused)
  assert.match(failure.message, /:123456789012:dbuser:/)
  assert.equal(attempts, 1)
})

test('lets an error of a hook reach the caller, and gives up nothing that has ended', async () => {
  const world = createWorld()
  let givenUp = 0
  const failure = new Error('the hook failed')
  const opening = openBy(world, async (_, { onDial }) => {
    onDial(
      dialling(() => {
        givenUp += 1
      }),
    )
    throw failure
  })
  await assert.rejects(opening, failure)
  assert.equal(givenUp, 0)
})

test('discards a connection that a silent attempt has in spite of all when another one has failed', async () => {
  const world = createWorld()
  const slow = Promise.withResolvers<Attempted<number>>()
  const opening = openBy(world, async (number, { onDial }) => {
    onDial(dialling())
    if (number === 1) return slow.promise
    return { error: fail('permission denied', '42501'), token }
  })
  assert.equal((await failureOf(opening)).code, 'RDS_IAM_DATABASE')
  slow.resolve({ connection: 1 })
  await world.pass(1)
  assert.deepEqual(world.discarded, [1])
})

test('gives up what has dialled, and leaves alone what has not', async () => {
  const world = createWorld()
  const opening = openBy(world, (number, { onDial }) => {
    if (number > 1) return never
    onDial(dialling())
    return world.clock.sleep(2_500).then(() => ({ connection: number }))
  })
  assert.equal(await opening, 1)
})

test('counts the silence of a pool that dials again from then on', async () => {
  const world = createWorld()
  const beganMs: number[] = []
  const opening = openBy(world, async (number, { onDial }) => {
    beganMs.push(world.elapsedMs())
    onDial(dialling())
    if (number > 1) return { connection: number }
    await world.clock.sleep(1_500)
    onDial(dialling())
    return never
  })
  assert.equal(await opening, 2)
  assert.deepEqual(beganMs, [0, 3_500])
})

test('does not overtake an attempt where another one would have no time', async () => {
  const world = createWorld()
  const { message } = await failureOf(world.open([silent, {}], { budgetMs: 600 }))
  assert.match(message, /timeout expired/)
  assert.deepEqual(world.began, [0])
  const other = createWorld()
  assert.equal(await other.open([silent, {}], { budgetMs: 601 }), 2)
})

test('says what an attempt was answered after it had been overtaken', async () => {
  const world = createWorld()
  const { code, message } = await failureOf(world.open([{ takesMs: 3_000, error: throttled }, silent]))
  assert.equal(code, 'RDS_IAM_THROTTLED')
  assert.match(message, /after 3 attempts in 10\.0 s, 2 of them without an answer: sorry, too many clients/)
})

test('lets the next silent attempt go on where the first one has ended', async () => {
  const world = createWorld()
  assert.equal(await world.open([{ takesMs: 3_000, error: throttled }, { takesMs: 5_000 }, silent]), 2)
  assert.deepEqual(world.began, [0, 2_000, 6_000])
  assert.deepEqual(world.givenUp, [3])
})

test('tells nobody, and counts nothing, of an attempt that is given up because another one serves', async () => {
  const world = createWorld()
  const effort = beginEffort(world.clock.now())
  assert.equal(await world.open([{ takesMs: 2_500 }, silent], { effort }), 1)
  await world.pass(5_000)
  assert.deepEqual(
    world.logger.lines.map(({ fields }) => fields.event),
    ['connection:retried'],
  )
  const other = createWorld()
  const counted = beginEffort(other.clock.now())
  assert.equal(await other.open([silent, {}], { effort: counted }), 2)
  await other.pass(5_000)
  assert.deepEqual([counted.attempts, counted.unanswered], [1, 1])
})
