/**
 * A logger with levels: the Logger of Powertools for AWS Lambda and `console` both are.
 *
 * @example console
 */
export interface RdsIamLogger {
  /** What is as it should be: a connection was opened or closed, a token was signed. */
  debug(message: string, fields: Record<string, unknown>): void
  /** What one should know once: session state crosses from one invocation to the next. */
  info(message: string, fields: Record<string, unknown>): void
  /** What somebody should look at: a failure to connect, a mistake of the handler. */
  warn(message: string, fields: Record<string, unknown>): void
  /** Part of a logger: no event of this package has this level. */
  error(message: string, fields: Record<string, unknown>): void
}

/**
 * Metrics with names, units and values: the Metrics of Powertools for AWS Lambda are.
 *
 * @example { addMetric: (name, unit, value) => console.log(JSON.stringify({ name, unit, value })) }
 */
export interface RdsIamMetrics {
  /** Adds a value to a metric, for example `DatabaseConnectionsOpened`. */
  addMetric(name: string, unit: 'Count' | 'Milliseconds', value: number): unknown
}

/** What hears of events. What it throws is caught where the options are read. */
export interface Observers {
  readonly logger: RdsIamLogger | undefined
  readonly metrics: RdsIamMetrics | undefined
}
