import type { RdsIamLogger, RdsIamMetrics } from '../events/observers.ts'
import { type Checks, show } from './checks.ts'

export function readLogger(checks: Checks, value: unknown): RdsIamLogger | undefined {
  if (value === undefined) return undefined
  const given = requireMethods(checks, 'logger', value, ['debug', 'info', 'warn', 'error'])
  const call = (level: keyof RdsIamLogger) => (message: string, fields: Record<string, unknown>) =>
    runHarmlessly(() => given[level]?.(message, fields))
  return { debug: call('debug'), info: call('info'), warn: call('warn'), error: call('error') }
}

export function readMetrics(checks: Checks, value: unknown): RdsIamMetrics | undefined {
  if (value === undefined) return undefined
  const given = requireMethods(checks, 'metrics', value, ['addMetric'])
  return {
    addMetric: (name, unit, count) => runHarmlessly(() => given.addMetric?.(name, unit, count)),
  }
}

function requireMethods(
  checks: Checks,
  option: string,
  value: unknown,
  names: readonly string[],
): Readonly<Record<string, (...given: readonly unknown[]) => unknown>> {
  const given = (typeof value === 'object' && value !== null ? value : {}) as ReturnType<
    typeof requireMethods
  >
  const missing = names.filter(name => typeof given[name] !== 'function')
  if (missing.length > 0) checks.complain(option, `has no method ${missing.join(', ')}; got ${show(value)}`)
  return given
}

/** A line that cannot be written, or a metric that cannot be counted, must not decide about a connection. */
function runHarmlessly(run: () => unknown): void {
  try {
    const result = run()
    if (result instanceof Promise) result.catch(() => {})
  } catch {
    // As little as the above.
  }
}
