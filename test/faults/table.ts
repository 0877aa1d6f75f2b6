import { after, test } from 'node:test'
import { type Bench, createBench } from './bench.ts'
import type { Engine } from './engines.ts'
import { assertNothingSecretSeen } from './seen.ts'
import { startSite } from './site.ts'

/** One fault, and what is asserted of the invocations around it. */
export interface Fault {
  readonly name: string
  /** Whether it takes seconds. */
  readonly slow?: true
  /** Resolves where the function survived; to a reason where the fault cannot happen to this middleware. Rejects otherwise. */
  run(bench: Bench): Promise<unknown>
}

/** Runs every fault with every middleware of these engines, a test for each, and prints the table of outcomes in the end. */
export function runTable(faults: readonly Fault[], engines: readonly Engine[], missing: string): void {
  const columns: string[] = []
  const cells = new Map<string, string>()

  test('survives', { concurrency: true }, async all => {
    // The engines side by side: much of the time is waiting.
    const runs = engines.map(engine =>
      all.test(`on ${engine.name}`, async t => {
        const site = await startSite(engine)
        // Not while the others go on: to remove a server's files blocks the process.
        all.after(() => site.stop())
        for (const middleware of engine.middlewares) {
          const column = `${middleware}, ${engine.name}`
          columns.push(column)
          for (const fault of faults) {
            await t.test(`${middleware}: ${fault.name}`, async () => {
              const bench = createBench(site, middleware)
              let outcome = 'survived'
              try {
                const reason = await fault.run(bench)
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
    const lines = [['fault', ...columns]]
    for (const { name } of faults)
      lines.push([name, ...columns.map(column => cells.get(`${name}\n${column}`) ?? 'not run')])
    console.log(lines.map(line => `| ${line.join(' | ')} |`).join('\n'))
  })
}
