import type { Explanation } from '../errors/explain.ts'
import type {
  DiagnosisDetails,
  DiagnosisObserver,
  DiagnosisStatus,
  DiagnosisStep,
  DiagnosisStepName,
} from './diagnosis-report.ts'
import type { Secrets } from './secrets.ts'

/** What a step found, and the value that later steps use. */
export interface Outcome<Value = void> {
  /** @default 'ok' */
  readonly status?: Exclude<DiagnosisStatus, 'failed' | 'skipped'>
  readonly finding: string
  readonly remedy?: string | undefined
  readonly details?: DiagnosisDetails
  readonly value: Value
}

/** Thrown by a step that explains its failure itself. */
export class StepFailure extends Error {
  readonly explanation: Explanation
  readonly details: DiagnosisDetails | undefined

  constructor(explanation: Explanation, details?: DiagnosisDetails) {
    super(explanation.observed)
    this.explanation = explanation
    this.details = details
  }
}

/** Runs the steps in their order, and keeps what they found. */
export interface Steps {
  readonly done: readonly DiagnosisStep[]
  /**
   * Runs a step, unless one that it needs failed. Never rejects.
   *
   * @returns The value for later steps; `undefined` if the step failed or was skipped.
   */
  run<Value>(
    name: DiagnosisStepName,
    needs: readonly DiagnosisStepName[],
    step: () => Promise<Outcome<Value>> | Outcome<Value>,
  ): Promise<Value | undefined>
}

/** The remedy if no rule knows a failure. */
const fallback = 'No rule knows this failure; these are the words of the server, the driver or Node.js.'

export function createSteps(
  secrets: Secrets,
  explain: (error: unknown) => Explanation,
  { onBegin, onStep }: DiagnosisObserver = {},
): Steps {
  const done: DiagnosisStep[] = []
  // For each step that failed or was skipped, the step that failed first: itself, or one that it needs.
  const broken = new Map<DiagnosisStepName, DiagnosisStepName>()

  const add = (step: DiagnosisStep): void => {
    if (step.status === 'failed') broken.set(step.name, step.name)
    const shown = secrets.hideIn(step)
    done.push(shown)
    tell(() => onStep?.(shown))
  }

  return {
    done,
    async run(name, needs, step) {
      const cause = needs.map(need => broken.get(need)).find(cause => cause !== undefined)
      if (cause !== undefined) {
        broken.set(name, cause)
        add({ name, status: 'skipped', durationMs: 0, finding: `not tried, because ${cause} failed` })
        return undefined
      }
      tell(() => onBegin?.(name))
      const startedMs = performance.now()
      const passed = () => Math.round((performance.now() - startedMs) * 10) / 10
      try {
        const { status = 'ok', finding, remedy, details, value } = await step()
        add({
          name,
          status,
          durationMs: passed(),
          finding,
          ...(remedy === undefined ? {} : { remedy }),
          ...(details === undefined ? {} : { details }),
        })
        return value
      } catch (error) {
        const own = error instanceof StepFailure ? error : undefined
        const { code, observed, remedy = fallback } = own?.explanation ?? explain(error)
        const details = own?.details === undefined ? {} : { details: own.details }
        add({
          name,
          status: 'failed',
          durationMs: passed(),
          finding: observed,
          remedy,
          code,
          ...details,
        })
        return undefined
      }
    },
  }
}

/** The diagnosis goes on whatever becomes of telling about it. */
function tell(call: () => void): void {
  try {
    call()
  } catch {
    // The report, which is whole in any case, has all that would have been told.
  }
}
