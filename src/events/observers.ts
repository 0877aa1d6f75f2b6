/** A logger with levels: the Logger of Powertools for AWS Lambda and `console` both are. */
export interface RdsIamLogger {
  debug(message: string, fields: Record<string, unknown>): void
  info(message: string, fields: Record<string, unknown>): void
  warn(message: string, fields: Record<string, unknown>): void
  error(message: string, fields: Record<string, unknown>): void
}

/** Metrics with names, units and values: the Metrics of Powertools for AWS Lambda are. */
export interface RdsIamMetrics {
  addMetric(name: string, unit: 'Count' | 'Milliseconds', value: number): unknown
}

/** What hears of events. What it throws is caught where the options are read. */
export interface Observers {
  readonly logger: RdsIamLogger | undefined
  readonly metrics: RdsIamMetrics | undefined
}
