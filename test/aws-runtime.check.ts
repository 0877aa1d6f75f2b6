// The functions as SAM CLI built them, run by what runs them on AWS: AWS's own runtime interface client (npm, aws-lambda-ric) behind AWS's
// own emulator of Lambda, which SAM CLI brings. npm run test:sam-build, after `sam build`; `.ci/run` says how both are installed.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findFreePort } from '../kit/src/database/free-port.ts'
import { engineNames, type Stack, standInIdentity, startStack } from '../local/stack.ts'
import { readTemplate, root } from '../local/template.ts'

const built = join(root, '.aws-sam', 'build')
const client = join(root, '.local/ric/node_modules/aws-lambda-ric/bin/index.mjs')
const architecture = process.arch === 'x64' ? 'x86_64' : process.arch
const [emulator] = globSync(
  join(root, `.local/sam/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-${architecture}`),
)
const missing =
  emulator === undefined
    ? 'SAM CLI, which brings the emulator, is not in .local/sam'
    : existsSync(client)
      ? false
      : 'aws-lambda-ric is not in .local/ric; building it takes autoconf, automake, libtool, cmake and a compiler'

/** Starts the built function of a stack. @returns What invokes it. */
async function startOnEmulator(t: TestContext, stack: Stack): Promise<(event: string) => Promise<unknown>> {
  const { functionName } = stack
  const { Handler, MemorySize, Timeout } = readTemplate().Resources[functionName].Properties
  const [port, apiPort] = [await findFreePort(), await findFreePort()]
  const listen = [
    ...['--runtime-interface-emulator-address', `127.0.0.1:${port}`],
    ...['--runtime-api-address', `127.0.0.1:${apiPort}`],
  ]
  const child = spawn(emulator ?? '', [...listen, process.execPath, client, Handler], {
    cwd: join(built, functionName),
    env: {
      PATH: process.env.PATH,
      ...standInIdentity,
      AWS_DEFAULT_REGION: standInIdentity.AWS_REGION,
      AWS_LAMBDA_FUNCTION_NAME: functionName,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(MemorySize),
      AWS_LAMBDA_FUNCTION_TIMEOUT: String(Timeout),
      LAMBDA_TASK_ROOT: join(built, functionName),
      ...stack.functionEnvironment('localhost'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // The emulator starts the function, so both are ended by their group.
    detached: true,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  await once(child, 'spawn')
  t.after(() => process.kill(-(child.pid as number), 'SIGKILL'))
  const url = `http://127.0.0.1:${port}/2015-03-31/functions/function/invocations`
  return async event => {
    for (;;) {
      const response = await fetch(url, { method: 'POST', body: event }).catch(() => undefined)
      if (response !== undefined) {
        const payload: unknown = await response.json()
        assert.ok(
          !(payload instanceof Object && 'errorType' in payload),
          `${JSON.stringify(payload)}\n${output}`,
        )
        return payload
      }
      assert.equal(child.exitCode, null, `the emulator has ended:\n${output}`)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

for (const engine of engineNames) {
  test(`AWS's runtime interface client serves every event on ${engine}, over one connection`, {
    skip: missing,
    timeout: 60_000,
  }, async t => {
    const stack = await startStack(engine)
    t.after(() => stack.database.close())
    const invoke = await startOnEmulator(t, stack)
    for (const name of ['add-note', 'list-notes', 'who-am-i'])
      assert.ok(await invoke(readFileSync(join(root, 'events', `${name}.json`), 'utf8')), name)
    const { connections, admitted } = stack.database.stats()
    assert.deepEqual({ connections, admitted }, { connections: 1, admitted: 1 })
  })
}
