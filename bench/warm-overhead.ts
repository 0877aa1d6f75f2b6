import type { Stack } from '../local/stack.ts'
import { startBundle } from './execution-environment.ts'
import { median, medianOfRounds } from './median.ts'
import { type Budget, printTable } from './report.ts'
import type { WarmRequest, WarmResult, WarmTimes } from './warm-times.ts'

/**
 * Times warm invocations inside the process, this package's without isolation: what its bookkeeping alone adds
 * to a connection at module scope, which isolates nothing either.
 *
 * @param rounds How many processes.
 */
export async function measureWarmOverhead(
  stack: Stack,
  folder: string,
  rounds: number,
  request: WarmRequest,
): Promise<Budget[]> {
  const results: WarmResult[] = []
  for (let round = 0; round < rounds; round += 1) {
    const environment = await startBundle(stack, folder, `${stack.engine}/warm-overhead`)
    const { error, payload } = await environment.invoke(request, { timeoutMs: 120_000 })
    if (error) throw new Error(`warm-overhead: ${error.errorMessage}\n${environment.logs()}`)
    results.push(payload as WarmResult)
    await environment.stop()
  }
  const medians = (key: keyof WarmResult) => {
    const of = (who: keyof WarmTimes) => results.map(result => result[key][who])
    const added = medianOfRounds(of('middleware'), of('handWritten'), (a, b) => a - b)
    return [median(of('middleware')), median(of('handWritten')), added] as const
  }
  const successive = medians('overheadSuccessive')
  const afterPause = medians('overheadAfterPause')
  printTable('Warm in the process, without isolation, µs', ['this package', 'hand-written', 'added'], {
    'without a query, right after another': successive,
    [`without a query, after a pause of ${request.pauseMs} ms`]: afterPause,
    'with a query, right after another': medians('querySuccessive'),
    [`with a query, after a pause of ${request.pauseMs} ms`]: medians('queryAfterPause'),
  })
  return [
    {
      what: 'added to a warm invocation, without isolation',
      measured: successive[2],
      limit: 5,
      unit: 'µs' as const,
    },
  ]
}
