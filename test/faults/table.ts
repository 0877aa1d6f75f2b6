import { after, test } from 'node:test'
import { type Bench, createBench } from './bench.ts'
import { type Engine, kindsOf } from './engines.ts'
import { assertNothingSecretSeen } from './seen.ts'
import { startSite } from './site.ts'

/** One fault, and what is asserted of the invocations around it. */
export interface Fault {
  readonly name: string
  /** Whether it takes seconds. */
  readonly slow?: true
  /** Why it means nothing to a pool without a middleware, where it does not; it is not run then. */
  readonly notStandalone?: string
  /** Resolves where the function survived; to a reason where the fault cannot happen to this kind. Rejects otherwise. */
  run(bench: Bench): Promise<unknown>
}

/** Which cells are run, by names such as `createPgPool, PostgreSQL: the server restarts`. @default all of them */
const asked = process.env.FAULTS === undefined ? undefined : new RegExp(process.env.FAULTS)

/**
 * Runs every fault with every kind of these engines, a test for each, and prints the table of outcomes in the end. Where the
 * environment variable `FAULTS` holds a regular expression, only the cells whose name is like it, for example
 * `^create\w+Pool, .*: the token`.
 *
 * @param wanted Those that are run where nobody asks for others. @default all of them
 */
export function runTable(
  faults: readonly Fault[],
  engines: readonly Engine[],
  missing: string,
  wanted = /^/,
): void {
  const columns: string[] = []
  const servers: string[] = []
  const cells = new Map<string, string>()

  test('survives', { concurrency: true }, async all => {
    // The engines side by side: much of the time is waiting.
    const runs = engines.map(engine =>
      all.test(`on ${engine.name}`, async t => {
        const cellsOf = (kind: string) =>
          faults.filter(({ name }) => (asked ?? wanted).test(`${kind}, ${engine.name}: ${name}`))
        const kinds = kindsOf(engine).filter(kind => cellsOf(kind).length > 0)
        // Whoever asked for a part of the table is told what was left out; without `FAULTS` nothing is.
        if (kinds.length === 0) return t.skip('FAULTS leaves all of them out')
        const site = await startSite(engine)
        servers.push(site.servers.first.name)
        // Not while the others go on: to remove a server's files blocks the process.
        all.after(() => site.stop())
        for (const kind of kinds) {
          const column = `${kind}, ${engine.name}`
          columns.push(column)
          for (const fault of cellsOf(kind)) {
            await t.test(`${kind}: ${fault.name}`, async () => {
              const bench = createBench(site, kind)
              let outcome = 'survived'
              try {
                const notStandalone = bench.isStandalone ? fault.notStandalone : undefined
                const reason = notStandalone === undefined ? await fault.run(bench) : `— (${notStandalone})`
                if (typeof reason === 'string') outcome = reason
              } catch (error) {
                outcome = `failed: ${(error as Error).message.split('\n', 1)[0]}`
                throw error
              } finally {
                cells.set(`${fault.name}\n${column}`, outcome)
                await bench.finish()
                await site.reset()
              }
            })
          }
        }
      }),
    )
    await Promise.all(runs)
  })

  test('shows no token and no secret key in anything that came out', () => assertNothingSecretSeen())

  test('has been run with both drivers', { skip: missing === '' ? false : missing }, () => {})

  after(() => {
    columns.sort()
    console.log(`on ${servers.sort().join(', ')}`)
    const lines = [['fault', ...columns]]
    for (const { name } of faults)
      lines.push([name, ...columns.map(column => cells.get(`${name}\n${column}`) ?? 'not run')])
    console.log(lines.map(line => `| ${line.join(' | ')} |`).join('\n'))
  })
}
