import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { performance } from 'node:perf_hooks'
import { text as readText } from 'node:stream/consumers'

/** As the caller of a function gets it. */
export interface InvocationError {
  readonly errorType: string
  readonly errorMessage: string
  /** The stack, line by line. */
  readonly trace?: readonly string[]
}

/**
 * What came of one invocation: `payload` where the handler returned, `error` where it, or the process,
 * failed.
 */
export interface Invocation {
  readonly requestId: string
  readonly payload?: unknown
  readonly error?: InvocationError
  /** Whether it was the first one of its execution environment. */
  readonly cold: boolean
  /** From handing the event to the function to its response, in milliseconds. */
  readonly durationMs: number
  /**
   * From `startRuntimeApi()` until the function asked for its first event, in milliseconds; on the cold
   * invocation alone.
   */
  readonly initMs?: number
}

/** The side of AWS Lambda that a function's process talks to; one for each process. */
export interface RuntimeApi {
  /** `host:port`, for the environment variable `AWS_LAMBDA_RUNTIME_API`. */
  readonly address: string
  /**
   * Hands an event to the function; events wait for each other, as in one execution environment.
   *
   * @param timeoutMs Until the deadline that the function is told of.
   * @param graceMs How much later than that the invocation fails with `Sandbox.Timedout`. Lambda gives none;
   * a function that answers shortly before its deadline may be late on a busy machine.
   */
  invoke(event: unknown, timeoutMs: number, graceMs?: number): Promise<Invocation>
  /** Resolves when the function asks for its next event: from then on Lambda may freeze its process. */
  whenIdle(): Promise<void>
  /** Fails what is under way, what waits, and what will be invoked: the function's process is no more. */
  failAll(error: InvocationError): void
  close(): Promise<void>
}

interface PendingInvocation {
  readonly requestId: string
  readonly event: unknown
  readonly timeoutMs: number
  readonly graceMs: number
  settle(outcome: { payload: unknown } | { error: InvocationError }): void
  startedMs: number
  timer?: NodeJS.Timeout
}

const VERSION = '/2018-06-01/runtime'

/**
 * Starts a Lambda Runtime API on 127.0.0.1.
 *
 * @param functionArn What the function is told that it was invoked as.
 * @param onTimeout The function missed its deadline: Lambda ends its process then.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
export async function startRuntimeApi(functionArn: string, onTimeout: () => void): Promise<RuntimeApi> {
  const startedMs = performance.now()
  const waiting: PendingInvocation[] = []
  let current: PendingInvocation | undefined
  let askingForNext: ServerResponse | undefined
  const awaitingIdle: (() => void)[] = []
  let initMs: number | undefined
  let initError: InvocationError | undefined
  let endedBy: InvocationError | undefined
  let invocations = 0

  function deliver(): void {
    if (!askingForNext || current || endedBy) return
    current = waiting.shift()
    if (!current) return
    const { requestId, event, timeoutMs, graceMs } = current
    current.startedMs = performance.now()
    current.timer = setTimeout(() => {
      const seconds = (timeoutMs / 1000).toFixed(2)
      finish({
        error: {
          errorType: 'Sandbox.Timedout',
          errorMessage: `RequestId: ${requestId} Error: Task timed out after ${seconds} seconds`,
        },
      })
      onTimeout()
    }, timeoutMs + graceMs)
    const traceRoot = `1-${Math.floor(Date.now() / 1000).toString(16)}-${randomBytes(12).toString('hex')}`
    askingForNext.writeHead(200, {
      'Content-Type': 'application/json',
      'Lambda-Runtime-Aws-Request-Id': requestId,
      'Lambda-Runtime-Deadline-Ms': String(Date.now() + timeoutMs),
      'Lambda-Runtime-Invoked-Function-Arn': functionArn,
      'Lambda-Runtime-Trace-Id': `Root=${traceRoot};Parent=${randomBytes(8).toString('hex')};Sampled=0`,
    })
    askingForNext.end(JSON.stringify(event ?? null))
    askingForNext = undefined
  }

  function finish(outcome: { payload: unknown } | { error: InvocationError }): void {
    const finished = current
    current = undefined
    finished?.settle(outcome)
  }

  function answer(response: ServerResponse, status: number, body: unknown): void {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    if (request.method === 'GET' && path === `${VERSION}/invocation/next`) {
      initMs ??= performance.now() - startedMs
      askingForNext = response
      for (const wake of awaitingIdle.splice(0)) wake()
      deliver()
      return
    }
    const body = await readText(request)
    if (request.method === 'POST' && path === `${VERSION}/init/error`) {
      initError = JSON.parse(body) as InvocationError
      answer(response, 202, { status: 'OK' })
      return
    }
    const match = /\/invocation\/([^/]+)\/(response|error)$/.exec(path)
    if (request.method !== 'POST' || !match) {
      answer(response, 404, { errorType: 'NotFound', errorMessage: `${request.method} ${path}` })
      return
    }
    if (current?.requestId !== match[1]) {
      answer(response, 400, { errorType: 'InvalidRequestID', errorMessage: 'Invalid request ID' })
      return
    }
    answer(response, 202, { status: 'OK' })
    if (match[2] === 'error') finish({ error: JSON.parse(body) as InvocationError })
    else finish({ payload: body === '' ? null : JSON.parse(body) })
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(error => answer(response, 500, { errorMessage: String(error) }))
  })
  // A function may sit frozen, or without an event, for as long as it likes.
  server.requestTimeout = 0
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('no address')

  return {
    address: `127.0.0.1:${address.port}`,
    whenIdle: () =>
      askingForNext === undefined ? new Promise(resolve => awaitingIdle.push(resolve)) : Promise.resolve(),
    invoke: (event, timeoutMs, graceMs = 0) =>
      new Promise(resolve => {
        const cold = invocations === 0
        invocations += 1
        const invocation: PendingInvocation = {
          requestId: randomUUID(),
          event,
          timeoutMs,
          graceMs,
          startedMs: performance.now(),
          settle: outcome => {
            clearTimeout(invocation.timer)
            resolve({
              requestId: invocation.requestId,
              ...outcome,
              cold,
              durationMs: performance.now() - invocation.startedMs,
              ...(cold && initMs !== undefined && { initMs }),
            })
          },
        }
        if (endedBy) {
          invocation.settle({ error: endedBy })
          return
        }
        waiting.push(invocation)
        deliver()
      }),
    failAll: error => {
      // What the runtime itself said of a failed INIT tells more than how its process ended.
      endedBy = initError ?? error
      finish({ error: endedBy })
      for (const invocation of waiting.splice(0)) invocation.settle({ error: endedBy })
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
