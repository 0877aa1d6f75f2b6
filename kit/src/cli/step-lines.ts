import type {
  DiagnosisObserver,
  DiagnosisReport,
  DiagnosisStatus,
  formatStep,
  formatVerdict,
} from 'middy-rds-iam/diagnose/pg'
import { paint } from './paint.ts'

/** How lines are written. It comes with an engine's diagnosis, whose driver alone need be installed. */
export interface StepFormat {
  readonly formatStep: typeof formatStep
  readonly formatVerdict: typeof formatVerdict
}

const styles: Partial<Record<DiagnosisStatus, 'red' | 'yellow' | 'green'>> = {
  ok: 'green',
  warning: 'yellow',
  unknown: 'yellow',
  failed: 'red',
}

/** How long a step goes on before a file or a pipe is told that it has begun, in milliseconds. */
const slowMs = 1_000

/**
 * Prints the steps of a diagnosis while they happen, and what they come to: together, what `formatReport`
 * writes. A step that goes on can be seen: a terminal shows its name until its line replaces it; elsewhere a
 * line of its own says after a second that it has begun.
 */
export function printSteps(
  engine: DiagnosisReport['engine'],
  { formatStep, formatVerdict }: StepFormat,
): DiagnosisObserver & { printVerdict(report: DiagnosisReport): void } {
  const { stdout } = process
  const print = (text: string) => void stdout.write(`${text}\n`)
  const colour = (text: string, status: DiagnosisStatus): string => {
    const style = styles[status]
    return style === undefined ? text : paint(style, text, stdout)
  }
  let slow: NodeJS.Timeout | undefined
  let areOptionsRight = true
  return {
    onBegin(name) {
      // It takes no time.
      if (name === 'options') return
      if (stdout.isTTY) stdout.write(`… ${name}`)
      else slow = setTimeout(print, slowMs, `… ${name}, begun`)
    },
    onStep(step) {
      clearTimeout(slow)
      // What is wrong with them is an error of the command line, and nothing else is tried.
      if (step.name === 'options') areOptionsRight = step.status === 'ok'
      if (!areOptionsRight) return
      // To the start of the line, and all of it away: https://www.xfree86.org/current/ctlseqs.html
      if (stdout.isTTY) stdout.write('\r\x1b[K')
      if (step.name === 'options') print(`${engine}: ${step.finding}`)
      print(formatStep(step, colour))
    },
    printVerdict: report => print(formatVerdict(report, colour)),
  }
}
