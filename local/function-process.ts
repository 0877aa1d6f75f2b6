import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onExit } from '../kit/src/database/on-exit.ts'
import { type Invocation, type InvocationError, startRuntimeApi } from './runtime-api.ts'

/** A function in a process of its own: one execution environment. */
export interface FunctionProcess {
  readonly pid: number
  /** Invokes the function; a failed invocation resolves too, with `error`. */
  invoke(event: unknown, options?: InvokeOptions): Promise<Invocation>
  /** What it wrote to standard output and standard error so far. */
  logs(): string
  /** Resolves when the function has answered and asks for its next event. */
  whenIdle(): Promise<void>
  /** Stops the process between two invocations as Lambda does: no timer fires, no packet is answered. */
  freeze(): void
  thaw(): void
  /**
   * Tells the process to end by SIGTERM, as Lambda does where an extension is registered, and waits until it
   * has.
   */
  shutDown(): Promise<ProcessEnd>
  /** Ends the process; what is invoked afterwards fails with `Runtime.ExitError`. */
  stop(): Promise<void>
}

/** How long an invocation may take. */
export interface InvokeOptions {
  /** Until the deadline that the function is told of. @default the function's own */
  readonly timeoutMs?: number
  /** How much later it is ended. @default 0 */
  readonly graceMs?: number
}

/** How a process ended: by itself with a code, or by a signal. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Since it was told to. */
  readonly durationMs: number
}

export interface FunctionOptions {
  /** For example `PostgresNotesFunction`. */
  readonly name: string
  /** The folder that holds the built function. */
  readonly folder: string
  /** File without its extension, and the export: `notes.handler`. */
  readonly handler: string
  /** The function's own environment variables, `AWS_REGION` and `AWS_ACCESS_KEY_ID` among them. */
  readonly environment?: Readonly<Record<string, string>>
  /** In MB; told to the function, not enforced. @default 128 */
  readonly memorySize?: number
  /** @default 3000 */
  readonly timeoutMs?: number
}

/**
 * Starts a built function behind a Runtime API of its own, with an environment as clean as Lambda's.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
 */
export async function startFunction({
  name,
  folder,
  handler,
  environment = {},
  memorySize = 128,
  timeoutMs: defaultTimeoutMs = 3000,
}: FunctionOptions): Promise<FunctionProcess> {
  const region = environment.AWS_REGION ?? 'us-east-1'
  // SIGKILL ends a frozen process too.
  const kill = () => void child.kill('SIGKILL')
  const api = await startRuntimeApi(`arn:aws:lambda:${region}:123456789012:function:${name}`, kill)
  const child = spawn(process.execPath, [fileURLToPath(new URL('bootstrap.mjs', import.meta.url))], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      LANG: 'en_US.UTF-8',
      TZ: ':UTC',
      AWS_EXECUTION_ENV: `AWS_Lambda_nodejs${process.versions.node.split('.')[0]}.x`,
      AWS_LAMBDA_FUNCTION_NAME: name,
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memorySize),
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
      AWS_LAMBDA_LOG_STREAM_NAME: '2026/01/01/[$LATEST]00000000000000000000000000000000',
      AWS_LAMBDA_RUNTIME_API: api.address,
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      LAMBDA_TASK_ROOT: folder,
      _HANDLER: handler,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Out of the terminal's process group: Ctrl-C is for the parent, which ends the function when it is done.
    detached: true,
  })
  const forget = onExit(kill)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const closed = once(child, 'close').then(([code, signal]) => {
    const how = code === null ? `signal: ${signal}` : `exit status ${code}`
    const error: InvocationError = {
      errorType: 'Runtime.ExitError',
      errorMessage: `Error: Runtime exited with error: ${how}`,
    }
    api.failAll(error)
    forget()
  })
  await once(child, 'spawn')

  return {
    pid: child.pid as number,
    invoke: (event, { timeoutMs = defaultTimeoutMs, graceMs = 0 } = {}) =>
      api.invoke(event, timeoutMs, graceMs),
    whenIdle: api.whenIdle,
    logs: () => output,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    shutDown: async () => {
      const startedMs = performance.now()
      child.kill('SIGTERM')
      await closed
      return { code: child.exitCode, signal: child.signalCode, durationMs: performance.now() - startedMs }
    },
    stop: async () => {
      kill()
      await closed
      await api.close()
    },
  }
}
