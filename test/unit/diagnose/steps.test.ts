import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DiagnosisObserver, DiagnosisStep } from '../../../src/diagnose/diagnosis-report.ts'
import { createSecrets } from '../../../src/diagnose/secrets.ts'
import { createSteps } from '../../../src/diagnose/steps.ts'

const explain = (error: unknown) =>
  ({ code: 'RDS_IAM_UNREACHABLE', observed: String(error), remedy: undefined }) as const

async function runAll(observer?: DiagnosisObserver) {
  const secrets = createSecrets()
  secrets.add('a-secret-of-somebody')
  const steps = createSteps(secrets, explain, observer)
  await steps.run('dns', [], () => ({ finding: '127.0.0.1', value: undefined }))
  await steps.run('tcp', ['dns'], async () => {
    throw new Error('refused a-secret-of-somebody')
  })
  await steps.run('tls', ['tcp'], () => assert.fail('not tried'))
  return steps.done
}

test('tells of every step when it begins and when it has ended, in the words of the report', async () => {
  const told: (string | DiagnosisStep)[] = []
  const done = await runAll({ onBegin: name => told.push(name), onStep: step => told.push(step) })
  const [dns, tcp, tls] = done
  assert.deepEqual(told, ['dns', dns, 'tcp', tcp, tls])
  assert.deepEqual([tcp?.finding, tls?.status], ['Error: refused …', 'skipped'])
})

test('goes on whatever an observer throws', async () => {
  const fail = (): never => {
    throw new Error('nobody reads')
  }
  const done = await runAll({ onBegin: fail, onStep: fail })
  assert.deepEqual(
    done.map(({ status }) => status),
    ['ok', 'failed', 'skipped'],
  )
})
