import type { DiagnosisReport, DiagnosisStatus, DiagnosisStep } from './diagnosis-report.ts'

const marks: Readonly<Record<DiagnosisStatus, string>> = {
  ok: '✓',
  warning: '!',
  failed: '✗',
  unknown: '?',
  skipped: '–',
}

/**
 * Colours a text by the step's status, on a terminal for example.
 *
 * @example (text, status) => (status === 'failed' ? `\x1b[31m${text}\x1b[39m` : text)
 */
export type Paint = (text: string, status: DiagnosisStatus) => string

const plain: Paint = text => text

/** As long as the longest name, so that steps stand below each other also where each is shown by itself. */
const width = 'authentication'.length

/**
 * Writes a report for people: one line for each step, with its mark, name, time and finding, and the remedy
 * below it.
 *
 * @param paint Colours a text by the step's status, on a terminal for example: by default, nothing does.
 * @example
 * ```ts
 * const report = await diagnosePg({ user: 'orders_app' })
 * console.log(formatReport(report))
 * ```
 */
export function formatReport(report: DiagnosisReport, paint: Paint = plain): string {
  const { engine, target, steps } = report
  return [
    target === undefined ? engine : `${engine}: ${target}`,
    ...steps.map(step => formatStep(step, paint)),
    formatVerdict(report, paint),
    '',
  ].join('\n')
}

/**
 * Writes one step as `formatReport` does, for an observer that shows the steps while they happen. There is no
 * line break at the end.
 *
 * @param paint As in `formatReport`.
 * @example
 * ```ts
 * const onStep = (step: DiagnosisStep) => console.log(formatStep(step))
 * await diagnosePg({ user: 'orders_app' }, undefined, { onStep })
 * ```
 */
export function formatStep(
  { name, status, durationMs, finding, remedy }: DiagnosisStep,
  paint: Paint = plain,
): string {
  const time = status === 'skipped' ? '' : `${durationMs.toFixed(1)} ms`
  const line = `${paint(marks[status], status)} ${name.padEnd(width)} ${time.padStart(11)}  ${finding}`
  return remedy === undefined ? line : `${line}\n    ${paint('→', status)} ${remedy}`
}

/**
 * Writes what `formatReport` ends with: `ok, after 74 ms`, or where the way is broken. There is no line break
 * at the end.
 *
 * @param paint As in `formatReport`.
 * @example console.log(formatVerdict(await diagnosePg({ user: 'orders_app' }))) // ok, after 74 ms
 */
export function formatVerdict({ ok, durationMs, steps }: DiagnosisReport, paint: Paint = plain): string {
  const broken = steps.find(({ status }) => status === 'failed')
  const verdict = ok ? 'ok' : `broken at ${broken?.name}`
  return `${paint(verdict, ok ? 'ok' : 'failed')}, after ${durationMs.toFixed(0)} ms`
}
