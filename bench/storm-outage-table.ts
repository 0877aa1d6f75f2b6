import { type Budget, printTable } from './report.ts'
import { type Outage, type OutageResult, simulateOutage } from './storm-outage.ts'

const outage: Omit<Outage, 'remembers'> = {
  requestsPerSecond: 200,
  perSecond: 200,
  brokenMs: 60_000,
  mendedMs: 30_000,
  seed: 1,
}

const columns = [
  'at once, most',
  'at once, later',
  'logins/s, first',
  'logins/s, later',
  'worst, s, later',
  'recovered, s',
]

/** Prints what a wrong policy costs, without and with the memory of refusals. */
export async function runOutage(): Promise<readonly Budget[]> {
  const before = await simulateOutage({ ...outage, remembers: false })
  const after = await simulateOutage({ ...outage, remembers: true })
  const { requestsPerSecond, brokenMs, perSecond } = outage
  const title = `A policy is wrong for ${brokenMs / 1_000} s, ${requestsPerSecond} requests a second`
  printTable(title, columns, {
    'each invocation tries for all of its time': cellsOf(before),
    'once, after a whole budget of refusals': cellsOf(after),
  })
  console.log(
    `  'at once' are invocations, 'first' the first 10 s, 'later' the last half of the outage; 'recovered' is when the last invocation\n` +
      `  has failed, after the policy was mended, with ${perSecond} new connections a second. New environments alone, no warm connections.`,
  )
  const what = 'wrong policy, later invocations'
  return [
    { what: `${what}: logins`, measured: after.mostLoginsLater, limit: 1, unit: 'of them' },
    { what: `${what}: the longest`, measured: after.worstMsLater, limit: 500, unit: 'ms' },
  ]
}

function cellsOf(result: OutageResult): number[] {
  const { mostAtOnce, mostAtOnceLater, loginsPerSecond, loginsPerSecondLater, worstMsLater, recoveryMs } =
    result
  return [
    ...[mostAtOnce, mostAtOnceLater, loginsPerSecond, loginsPerSecondLater],
    ...[worstMsLater / 1_000, recoveryMs / 1_000],
  ]
}
