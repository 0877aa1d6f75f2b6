import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type FunctionProcess, startFunction } from '../../local/function-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-function-'))
after(() => rmSync(folder, { recursive: true, force: true }))

let files = 0

/** Runs `use` with a function whose module has this text. */
async function withFunction(source: string, use: (f: FunctionProcess) => Promise<void>, timeoutMs = 10_000) {
  files += 1
  writeFileSync(join(folder, `function-${files}.mjs`), source)
  const f = await startFunction({
    name: 'Trivial',
    folder,
    handler: `function-${files}.handler`,
    environment: { AWS_REGION: 'eu-west-1', GREETING: 'hello' },
    timeoutMs,
  })
  try {
    await use(f)
  } finally {
    await f.stop()
  }
}

test('hands one event after the other to one process, the first one cold', () =>
  withFunction(
    `let count = 0
    export const handler = async event => ({ event, count: ++count, pid: process.pid })`,
    async f => {
      const results = await Promise.all([f.invoke({ n: 1 }), f.invoke({ n: 2 }), f.invoke(null)])
      assert.deepEqual(
        results.map(({ payload, cold }) => ({ payload, cold })),
        [
          { payload: { event: { n: 1 }, count: 1, pid: f.pid }, cold: true },
          { payload: { event: { n: 2 }, count: 2, pid: f.pid }, cold: false },
          { payload: { event: null, count: 3, pid: f.pid }, cold: false },
        ],
      )
      assert.ok(Number(results[0]?.initMs) > 0)
      assert.equal(results[1]?.initMs, undefined)
    },
  ))

test('gives a context and an environment like those of Lambda, and nothing of its own environment', () =>
  withFunction(
    `export const handler = async (event, context) => ({
      ...context, remainingMs: context.getRemainingTimeInMillis(), environment: process.env })`,
    async f => {
      const { payload, requestId } = await f.invoke({}, { timeoutMs: 5000 })
      const { environment, remainingMs, ...context } = payload as Record<string, Record<string, string>>
      assert.equal(context.awsRequestId, requestId)
      assert.equal(context.functionName, 'Trivial')
      assert.equal(context.memoryLimitInMB, '128')
      assert.equal(context.invokedFunctionArn, 'arn:aws:lambda:eu-west-1:123456789012:function:Trivial')
      assert.ok(Number(remainingMs) > 0 && Number(remainingMs) <= 5000, `${remainingMs}`)
      assert.equal(environment?.GREETING, 'hello')
      assert.equal(environment?.AWS_LAMBDA_FUNCTION_NAME, 'Trivial')
      assert.equal(environment?.AWS_LAMBDA_INITIALIZATION_TYPE, 'on-demand')
      assert.equal(environment?.HOME, undefined)
      assert.equal(environment?.NODE_ENV, undefined)
    },
  ))

test("answers with a handler's error and goes on", () =>
  withFunction(
    `export const handler = async event => { if (event.fail) throw new RangeError('too far'); return 'fine' }`,
    async f => {
      const { error, payload } = await f.invoke({ fail: true })
      assert.equal(payload, undefined)
      assert.equal(error?.errorType, 'RangeError')
      assert.equal(error?.errorMessage, 'too far')
      assert.match(String(error?.trace?.[0]), /^RangeError: too far/)
      assert.equal((await f.invoke({})).payload, 'fine')
      assert.match(f.logs(), /Invoke Error.*too far/)
    },
  ))

test('answers null for a handler that returns nothing', () =>
  withFunction('export const handler = async () => {}', async f => {
    assert.equal((await f.invoke({})).payload, null)
  }))

test('ends with an error that nobody caught, and says so from then on', () =>
  withFunction(
    `export const handler = () => new Promise(() => setTimeout(() => { throw new Error('lost') }))`,
    async f => {
      assert.equal((await f.invoke({})).error?.errorMessage, 'lost')
      assert.equal((await f.invoke({})).error?.errorType, 'Runtime.ExitError')
      assert.match(f.logs(), /Uncaught Exception.*lost/)
    },
  ))

test('names a rejection that nobody handled', () =>
  withFunction(
    `export const handler = () => { Promise.reject(new Error('dropped')); return new Promise(() => {}) }`,
    async f => {
      const { error } = await f.invoke({})
      assert.equal(error?.errorType, 'Runtime.UnhandledPromiseRejection')
      assert.match(String(error?.errorMessage), /dropped/)
    },
  ))

test('fails every invocation with what went wrong in INIT', () =>
  withFunction(`throw new TypeError('no settings')`, async f => {
    const { error } = await f.invoke({})
    assert.deepEqual([error?.errorType, error?.errorMessage], ['TypeError', 'no settings'])
  }))

test('ends the process at the deadline', () =>
  withFunction(
    'export const handler = () => new Promise(() => setInterval(() => {}, 1000))',
    async f => {
      const { error } = await f.invoke({})
      assert.equal(error?.errorType, 'Sandbox.Timedout')
      assert.match(String(error?.errorMessage), /Task timed out after 0\.20 seconds/)
      assert.equal((await f.invoke({})).error?.errorType, 'Runtime.ExitError')
    },
    200,
  ))

test('answers nothing while frozen', () =>
  withFunction('export const handler = async event => event', async f => {
    await f.invoke({})
    f.freeze()
    const frozen = f.invoke('thawed')
    let answered = false
    void frozen.then(() => {
      answered = true
    })
    // Another process answers in the meantime.
    await withFunction('export const handler = async () => 1', async other => void (await other.invoke({})))
    assert.equal(answered, false)
    f.thaw()
    assert.equal((await frozen).payload, 'thawed')
  }))
