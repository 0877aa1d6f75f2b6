import type { RdsIamErrorCode } from '../errors/rds-iam-error.ts'

/**
 * The steps of the way to the database, in their order.
 *
 * @example 'authentication'
 */
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
 *
 * @example 'warning'
 */
export type DiagnosisStatus = 'ok' | 'warning' | 'failed' | 'unknown' | 'skipped'

/**
 * What a step found, for programs: dates are texts as in ISO 8601.
 *
 * @example { version: 'TLSv1.3', validTo: '2061-05-25T22:34:57.000Z' }
 */
export type DiagnosisDetails = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>

/**
 * One step of the way.
 *
 * @example { name: 'tcp', status: 'ok', durationMs: 1.3, finding: 'connected to 10.0.3.7:5432' }
 */
export interface DiagnosisStep {
  /** Which step it is. */
  readonly name: DiagnosisStepName
  /** How it ended. */
  readonly status: DiagnosisStatus
  /** The time that it took, in milliseconds. */
  readonly durationMs: number
  /** What was found, in one sentence without its full stop. */
  readonly finding: string
  /** What to do, if the step failed or is doubtful. */
  readonly remedy?: string
  /** The code of the error that the middleware would throw, if the step failed. */
  readonly code?: RdsIamErrorCode
  /** The same as `finding`, for programs. */
  readonly details?: DiagnosisDetails
}

/**
 * Is told of the steps while they happen, to show them to a person who waits. The report has the same steps.
 *
 * @example
 * ```ts
 * const observer: DiagnosisObserver = { onStep: step => console.log(formatStep(step)) }
 * await diagnosePg({ user: 'orders_app' }, undefined, observer)
 * ```
 */
export interface DiagnosisObserver {
  /** Called when a step begins, with its name. Steps that are skipped do not begin. @default none */
  readonly onBegin?: ((name: DiagnosisStepName) => void) | undefined
  /**
   * Called when a step has ended or was skipped, with what the report will say of it. It holds no secret.
   *
   * @default none
   */
  readonly onStep?: ((step: DiagnosisStep) => void) | undefined
}

/**
 * The whole way to a database, as plain data for JSON. It holds no secret.
 *
 * @example { ok: true, engine: 'postgres', at: '2026-01-31T12:00:00.000Z', durationMs: 74, steps: [] }
 */
export interface DiagnosisReport {
  /** Whether no step failed. */
  readonly ok: boolean
  /** Whose way it is: `mysql` is MariaDB's too. */
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
  /** All steps in their order, those that were skipped too. */
  readonly steps: readonly DiagnosisStep[]
}
