import type { RdsIamErrorCode } from '../errors/rds-iam-error.ts'

/** The steps of the way to the database, in their order. */
export type DiagnosisStepName =
  | 'options'
  | 'region'
  | 'dns'
  | 'tcp'
  | 'tls'
  | 'credentials'
  | 'token'
  | 'authentication'
  | 'session'
  | 'clock'
  | 'iam-user'
  | 'encryption'
  | 'forced-tls'
  | 'version'
  | 'writes'

/**
 * How a step ended:
 *
 * | status | means |
 * |---|---|
 * | `ok` | as it should be |
 * | `warning` | it does not stop the connection, but may be wrong |
 * | `failed` | the way ends here |
 * | `unknown` | the server does not tell |
 * | `skipped` | not tried, because a step that it needs failed |
 */
export type DiagnosisStatus = 'ok' | 'warning' | 'failed' | 'unknown' | 'skipped'

/** What a step found, for programs: dates are texts as in ISO 8601. */
export type DiagnosisDetails = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>

/** One step of the way. */
export interface DiagnosisStep {
  readonly name: DiagnosisStepName
  readonly status: DiagnosisStatus
  /** The time that it took, in milliseconds. */
  readonly durationMs: number
  /** What was found, in one sentence without its full stop. */
  readonly finding: string
  /** What to do, if the step failed or is doubtful. */
  readonly remedy?: string
  /** The code of the error that the middleware would throw, if the step failed. */
  readonly code?: RdsIamErrorCode
  readonly details?: DiagnosisDetails
}

/**
 * Is told of the steps while they happen, to show them to a person who waits. The report has the same steps.
 *
 * @example
 * ```ts
 * await diagnosePg(options, undefined, { onStep: step => console.log(formatStep(step)) })
 * ```
 */
export interface DiagnosisObserver {
  /** Called when a step begins, with its name. Steps that are skipped do not begin. */
  readonly onBegin?: ((name: DiagnosisStepName) => void) | undefined
  /** Called when a step has ended or was skipped, with what the report will say of it. It holds no secret. */
  readonly onStep?: ((step: DiagnosisStep) => void) | undefined
}

/** The whole way to a database, as plain data for JSON. It holds no secret. */
export interface DiagnosisReport {
  /** Whether no step failed. */
  readonly ok: boolean
  readonly engine: 'postgres' | 'mysql'
  /**
   * What was connected to, for example `orders_app@orders.c1x2.eu-west-1.rds.amazonaws.com:5432/orders in
   * eu-west-1`; `undefined` if the options are wrong.
   */
  readonly target?: string
  /** When the report was made, as in ISO 8601. */
  readonly at: string
  /** The time that all steps took, in milliseconds. */
  readonly durationMs: number
  readonly steps: readonly DiagnosisStep[]
}
