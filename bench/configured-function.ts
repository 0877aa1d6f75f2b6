import type { FunctionProcess } from '../local/function-process.ts'
import type { Invocation } from '../local/runtime-api.ts'
import type { Stack } from '../local/stack.ts'
import { signToken, startBundle } from './execution-environment.ts'
import type { Row, Task } from './task.ts'

/** What the function has: a connection or a pool of this package, or a connection of the driver's alone. */
export type Kind = 'client' | 'pool' | 'bare'

/** The middlewares, in the order in which they are shown. */
export const middlewareKinds = ['client', 'pool'] as const

export interface Configuration {
  readonly kind: Kind
  /** Of the middleware, in JSON's words, for example `{ resetSession: false }`. @default {} */
  readonly options?: object
  /** Variables that differ from those of the sample function. */
  readonly environment?: Readonly<Record<string, string>>
}

/** A function that does what its event says, with options that are given when it starts. */
export interface ConfiguredFunction {
  /** @throws Where the invocation fails. */
  run(task: Task): Promise<{ readonly row: Row; readonly durationMs: number }>
  /** Resolves for a failed invocation too. */
  invoke(task: Task): Promise<Invocation>
  readonly logs: FunctionProcess['logs']
  stop(): Promise<void>
}

export const selectOne: Task = { sql: ['SELECT 1 AS one'] }

/** Starts the bundle `postgres/configured.mjs` of a folder, for example. */
export async function startConfigured(
  stack: Stack,
  folder: string,
  { kind, options = {}, environment }: Configuration,
): Promise<ConfiguredFunction> {
  const own: Record<string, string> =
    kind === 'bare'
      ? { DATABASE_TOKEN: await signToken(stack) }
      : { KIND: kind, OPTIONS: JSON.stringify(options) }
  const name = `${stack.engine}/${kind === 'bare' ? 'bare' : 'configured'}`
  const { invoke, logs, stop } = await startBundle(stack, folder, name, { ...own, ...environment })
  return {
    invoke,
    logs,
    stop,
    async run(task) {
      const { payload, error, durationMs } = await invoke(task)
      if (error) throw new Error(`${name}, ${kind}: ${error.errorMessage}\n${logs()}`)
      const row = payload as Row | null
      if (row === null) throw new Error(`${name}, ${kind}: no row for ${JSON.stringify(task)}`)
      return { row, durationMs }
    },
  }
}
