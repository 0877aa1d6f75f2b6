import type { DiagnosisReport, DiagnosisStatus, DiagnosisStep } from './diagnosis-report.ts'

const marks: Readonly<Record<DiagnosisStatus, string>> = {
  ok: '✓',
  warning: '!',
  failed: '✗',
  unknown: '?',
  skipped: '–',
}

/**
 * Writes a report for people: one line for each step, with its mark, name, time and finding, and the remedy
 * below it.
 *
 * @param paint Colours a text by the step's status, on a terminal for example. @default none
 */
export function formatReport(
  { ok, engine, target, durationMs, steps }: DiagnosisReport,
  paint: (text: string, status: DiagnosisStatus) => string = text => text,
): string {
  const width = Math.max(...steps.map(({ name }) => name.length))
  const formatStep = ({ name, status, durationMs, finding, remedy }: DiagnosisStep): string => {
    const time = status === 'skipped' ? '' : `${durationMs.toFixed(1)} ms`
    const line = `${paint(marks[status], status)} ${name.padEnd(width)} ${time.padStart(11)}  ${finding}`
    return remedy === undefined ? line : `${line}\n    ${paint('→', status)} ${remedy}`
  }
  const broken = steps.find(({ status }) => status === 'failed')
  const verdict = ok ? 'ok' : `broken at ${broken?.name}`
  return [
    target === undefined ? engine : `${engine}: ${target}`,
    ...steps.map(formatStep),
    `${paint(verdict, ok ? 'ok' : 'failed')}, after ${durationMs.toFixed(0)} ms`,
    '',
  ].join('\n')
}
