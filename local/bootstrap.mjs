// The process that a function runs in, as AWS's own Node.js runtime: loads the handler that _HANDLER names,
// then takes one event after the other from the Runtime API. Plain JavaScript, so that stripping types does not
// count into a cold start.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const { AWS_LAMBDA_RUNTIME_API: api, LAMBDA_TASK_ROOT: taskRoot, _HANDLER: handlerName } = process.env
// Not imported: an ES import of node:http reads all that it exports, and so loads undici, 30 ms that no
// function on AWS waits for.
const { Agent, request } = process.getBuiltinModule('node:http')
// node:http, not fetch: a request for the next event may wait for hours.
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

/** @returns {Promise<{ headers: import('node:http').IncomingHttpHeaders, body: string }>} */
function call(method, path, body) {
  return new Promise((resolve, reject) => {
    request(`http://${api}/2018-06-01/runtime${path}`, { method, agent }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () => resolve({ headers: response.headers, body: text }))
    })
      .on('error', reject)
      .end(body)
  })
}

function describeError(error) {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error), trace: [] }
  return { errorType: error.name, errorMessage: error.message, trace: error.stack?.split('\n') ?? [] }
}

let requestId

/** An error that nobody caught ends the process; the invocation under way, or INIT, fails with it. */
async function exitWith(code, label, error) {
  console.error(label, error)
  const path = requestId === undefined ? '/init/error' : `/invocation/${requestId}/error`
  await call('POST', path, JSON.stringify(describeError(error))).catch(() => undefined)
  process.exit(code)
}

class UnhandledPromiseRejection extends Error {
  name = 'Runtime.UnhandledPromiseRejection'
}

process.on('uncaughtException', error => exitWith(129, 'Uncaught Exception', error))
process.on('unhandledRejection', reason =>
  exitWith(
    128,
    'Unhandled Promise Rejection',
    new UnhandledPromiseRejection(String(reason), { cause: reason }),
  ),
)

async function loadHandler() {
  const dot = handlerName.lastIndexOf('.')
  const stem = join(taskRoot, handlerName.slice(0, dot))
  const file = ['.js', '.mjs', '.cjs'].map(extension => stem + extension).find(existsSync)
  if (!file) throw new Error(`Cannot find module '${stem}'`)
  const module = await import(pathToFileURL(file).href)
  const handler = module[handlerName.slice(dot + 1)]
  if (typeof handler !== 'function') throw new Error(`${handlerName} is undefined or not exported`)
  return handler
}

function makeContext(headers) {
  const deadlineMs = Number(headers['lambda-runtime-deadline-ms'])
  return {
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    xRayTraceId: headers['lambda-runtime-trace-id'],
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    getRemainingTimeInMillis: () => deadlineMs - Date.now(),
  }
}

let handler
try {
  handler = await loadHandler()
} catch (error) {
  await exitWith(1, 'Init Error', error)
}
for (;;) {
  const { headers, body } = await call('GET', '/invocation/next')
  requestId = headers['lambda-runtime-aws-request-id']
  process.env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id']
  let path = `/invocation/${requestId}/response`
  let answer
  try {
    // A handler that returns nothing answers null.
    answer = JSON.stringify((await handler(JSON.parse(body), makeContext(headers))) ?? null)
  } catch (error) {
    console.error('Invoke Error', error)
    path = `/invocation/${requestId}/error`
    answer = JSON.stringify(describeError(error))
  }
  await call('POST', path, answer)
}
