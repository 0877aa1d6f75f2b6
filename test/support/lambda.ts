import type { Context } from 'aws-lambda'

let invocations = 0

/** A context as Lambda gives it, each with a request id of its own. */
export function lambdaContext(remainingMs = 30_000, overrides: Partial<Context> = {}): Context {
  const deadlineMs = Date.now() + remainingMs
  invocations += 1
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: 'notes',
    functionVersion: '$LATEST',
    invokedFunctionArn: 'arn:aws:lambda:eu-west-1:123456789012:function:notes',
    memoryLimitInMB: '256',
    awsRequestId: `00000000-0000-4000-8000-${String(invocations).padStart(12, '0')}`,
    logGroupName: '/aws/lambda/notes',
    logStreamName: '2026/01/01/[$LATEST]0',
    getRemainingTimeInMillis: () => deadlineMs - Date.now(),
    done() {},
    fail() {},
    succeed() {},
    ...overrides,
  }
}

/** A context without a deadline. For tests with timers of their own: middy's timer for a deadline is one that they do not see. */
export const contextWithoutDeadline = (): Context =>
  lambdaContext(0, { getRemainingTimeInMillis: undefined as unknown as () => number })

/** Runs something in a process that looks like a Lambda function's, as far as environment variables tell. */
export function inLambda<T>(run: () => T, variables: Readonly<Record<string, string>> = {}): T {
  const all = { AWS_LAMBDA_FUNCTION_NAME: 'notes', ...variables }
  Object.assign(process.env, all)
  try {
    return run()
  } finally {
    for (const name of Object.keys(all)) delete process.env[name]
  }
}

/** A logger that keeps its lines. */
export function recordingLogger() {
  const lines: { level: string; message: string; fields: Record<string, unknown> }[] = []
  const record = (level: string) => (message: string, fields: Record<string, unknown>) =>
    void lines.push({ level, message, fields })
  return {
    lines,
    warnings: () => lines.filter(({ level }) => level === 'warn').map(({ message }) => message),
    debug: record('debug'),
    info: record('info'),
    warn: record('warn'),
    error: record('error'),
  }
}
