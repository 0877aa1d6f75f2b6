import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Signer } from '@aws-sdk/rds-signer'
import { root } from '../../local/template.ts'
import type { Gated } from './database.ts'

/** Something that a driver does, for whoever has a connection or a pool of it. */
export interface Behaviour<Db> {
  /** What it does, for example `gives rows as arrays`. */
  readonly name: string
  /** Options of the driver's that it needs. */
  readonly client?: Readonly<Record<string, unknown>>
  /** @returns What came of it, without what differs from one connection to the next. */
  run(db: Db): Promise<unknown>
  /** Where the product does something else, and says so. */
  readonly differs?: Difference
}

interface Difference {
  /** Words of the documentation that say so. */
  readonly documented: string
  /** What comes of it with the product. */
  readonly product: unknown
  /** The sides that differ. @default all of the product's */
  readonly sides?: readonly string[]
}

/** One way to get a connection or a pool. */
export interface Side<Db> {
  readonly name: string
  /** Runs something with a fresh one, and ends what it has opened. */
  use(client: Readonly<Record<string, unknown>>, run: (db: Db) => Promise<unknown>): Promise<unknown>
}

/** Runs every behaviour with the driver as its own users have it, and with each side of the product. */
export function compareSides<Db>(
  title: string,
  behaviours: readonly Behaviour<Db>[],
  stock: Side<Db>,
  product: readonly Side<Db>[],
): void {
  for (const { name, client = {}, run, differs } of behaviours) {
    test(`${title}: ${name}`, { timeout: 120_000 }, async () => {
      // At once: what happens when the connection is given back is another matter.
      const runPlainly = (db: Db) => run(db).then(plain)
      const bare = { value: await stock.use(client, runPlainly) }
      for (const side of product) {
        const lent = await outcomeOf(side.use(client, runPlainly))
        if (differs === undefined || differs.sides?.includes(side.name) === false) {
          assert.deepEqual(lent, bare, `${side.name} is not as ${stock.name}`)
          continue
        }
        assert.deepEqual(lent, differs.product, side.name)
        assert.notDeepEqual(lent, bare, `${side.name} is as ${stock.name}: there is nothing to document`)
      }
      if (differs !== undefined)
        assert.ok(documentation().includes(differs.documented), `no page says “${differs.documented}”`)
    })
  }
}

/** What comes of something, an error included. */
async function outcomeOf(running: Promise<unknown>): Promise<unknown> {
  return running.then(
    value => ({ value }),
    error => ({ thrown: describeError(error) }),
  )
}

/** Everything of an error that its users look at. */
export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { thrown: plain(error) }
  const { name, message } = error
  return plain({ ...error, class: error.constructor.name, name, message })
}

/** What rejects, in these words; or a note that it did not. */
export const failureOf = (running: Promise<unknown>): Promise<unknown> =>
  running.then(value => ({ resolved: plain(value) }), describeError)

/** What throws at once. */
export function thrownBy(run: () => unknown): unknown {
  try {
    return { returned: typeof run() }
  } catch (error) {
    return describeError(error)
  }
}

/** Values that can be compared, whichever class of whichever copy of a driver they are of. */
function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return `bytes ${value.toString('hex')}`
  if (value instanceof Date) return `date ${value.toISOString()}`
  if (typeof value === 'bigint') return `bigint ${value}`
  if (typeof value === 'function') return 'function'
  // Each session has temporary tables of its own.
  if (typeof value === 'string') return value.replace(/pg_temp_\d+/, 'pg_temp')
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Error) return describeError(value)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain(entry)]))
  return value
}

/** The names of events in the order in which they came. */
export function listen(
  emitter: { on(event: never, listener: (...given: never[]) => void): unknown },
  names: readonly string[],
): string[] {
  const heard: string[] = []
  for (const name of names) emitter.on(name as never, () => void heard.push(name))
  return heard
}

/** Lets everything happen that is due. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve))
}

/** Waits until something holds. */
export async function until(holds: () => unknown): Promise<void> {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}

/** Makes tokens as AWS's own documentation has it. */
export function signerFor({
  host,
  port,
  user,
  region,
  credentials,
}: Gated['options']): () => Promise<string> {
  const signer = new Signer({ hostname: host, port, username: user, region, credentials })
  return () => signer.getAuthToken()
}

let pages: string | undefined

/** Every page, and the docstrings that users see, without the breaks of their lines. */
function documentation(): string {
  const read = (file: string) => readFileSync(join(root, file), 'utf8')
  const docstrings = globSync(['src/*.ts', 'src/options/*.ts'], { cwd: root }).flatMap(
    file => read(file).match(/\/\*\*[\s\S]*?\*\//g) ?? [],
  )
  const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: root }).map(read)
  pages ??= [...documents, ...docstrings].join('\n').replace(/\s+(\* )?/g, ' ')
  return pages
}
