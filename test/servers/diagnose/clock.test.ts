// In a process of its own, whose clock is wrong; those of the servers are right.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import type { DiagnosisReport } from '../../../src/diagnose/diagnose-pg.ts'
import { assertNoSecret, stepOf, stepsThat, useDiagnosisKinds } from '../../support/diagnosis.ts'
import { runModule } from '../../support/node-process.ts'

const requests: (string | undefined)[] = []
/** Stands for STS, which answers everybody with a date. */
const sts = createServer(({ method, headers }, response) => {
  requests.push(method, headers.authorization)
  // Node.js's own date is as late as its timers are.
  const date = new Date().toUTCString()
  response.writeHead(302, { date, location: 'https://aws.amazon.com/iam' }).end()
}).listen(0, '127.0.0.1')
await once(sts, 'listening')
after(() => {
  sts.closeAllConnections()
  sts.close()
})
const stsUrl = `http://127.0.0.1:${(sts.address() as { port: number }).port}`

const { kinds, missing } = await useDiagnosisKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }

async function diagnose(engine: 'postgres' | 'mysql', options: object, aheadSeconds: number, stsUrl = '') {
  const [entry, name] = engine === 'postgres' ? ['pg', 'diagnosePg'] : ['mysql2', 'diagnoseMysql']
  const report = (await runModule(
    `const Right = Date
     const wrong = () => Right.now() + ${aheadSeconds * 1_000}
     globalThis.Date = class extends Right {
       constructor(...parts) { super(...(parts.length === 0 ? [wrong()] : parts)) }
       static now() { return wrong() }
     }
     const { ${name}: diagnose } = await import('middy-rds-iam/diagnose/${entry}')
     console.log(JSON.stringify(await diagnose(${JSON.stringify(options)})))`,
    { AWS_ENDPOINT_URL_STS: stsUrl },
  )) as DiagnosisReport
  assertNoSecret(JSON.stringify(report), [])
  return report
}

/** How wrong the report says the clock is, within what it says it knows and what the process took to start. */
function assertAhead(report: DiagnosisReport, source: string, seconds: number): void {
  const { details } = stepOf(report, 'clock')
  assert.equal(details?.source, source)
  assert.ok(Math.abs(Number(details?.aheadMs) - seconds * 1_000) <= Number(details?.errorMs) + 5)
}

for (const { name, engine, gate } of kinds) {
  test(`${name}: says by how much the clock is behind the server's, and what it does to tokens`, async () => {
    const { options } = await gate()
    const report = await diagnose(engine, options, -412)
    const { status, finding, remedy } = stepOf(report, 'clock')
    assert.deepEqual([report.ok, status], [true, 'warning'])
    assert.match(finding, /^your clock is 412 s behind the server's, give or take \d+ ms$/)
    assert.match(remedy ?? '', /Here it is 412 s old as soon as it is signed, and can be used for 488 s\.$/)
    assertAhead(report, 'database', -412)
  })

  test(`${name}: says by how much the clock is ahead of the server's`, async () => {
    const { options } = await gate()
    const report = await diagnose(engine, options, 95)
    const { status, finding, remedy } = stepOf(report, 'clock')
    assert.deepEqual([report.ok, status], [true, 'warning'])
    assert.match(finding, /^your clock is 95 s ahead of the server's/)
    assert.match(remedy ?? '', /Here it is dated 95 s in the future\.$/)
    assertAhead(report, 'database', 95)
  })

  test(`${name}: finds nothing wrong with a clock that is right`, async () => {
    const { options } = await gate()
    const report = await diagnose(engine, options, 0)
    assert.equal(stepOf(report, 'clock').status, 'ok')
    assert.match(stepOf(report, 'clock').finding, /^your clock (and the server's agree|is \d+ ms)/)
    assertAhead(report, 'database', 0)
  })

  for (const [seconds, reason, finding, remedy] of [
    [
      -1_000,
      'ExpiredToken',
      /^your clock is (999|1000|1001) s behind AWS's/,
      /too old as soon as it is signed/,
    ],
    [1_000, 'InvalidToken', /^your clock is (999|1000|1001) s ahead of AWS's/, /dated \d+ s in the future/],
  ] as const) {
    test(`${name}: asks AWS for the time where a token is refused that is ${seconds} s off`, async () => {
      const { decisions, options } = await gate({ endpoints: [endpoint] })
      requests.length = 0
      const report = await diagnose(engine, { ...options, endpoint }, seconds, stsUrl)
      assert.deepEqual(
        decisions.filter(({ tokenId }) => tokenId !== undefined).map(decision => decision.reason),
        [reason],
      )
      assert.deepEqual(stepsThat(report, 'failed'), ['authentication'])
      const step = stepOf(report, 'clock')
      assert.equal(step.status, 'warning')
      assert.match(step.finding, finding)
      assert.match(step.remedy ?? '', remedy)
      assertAhead(report, 'aws', seconds)
      assert.deepEqual(requests, ['HEAD', undefined], 'it signs nothing, and asks once')
    })
  }
}

test('says that nobody told the time where AWS cannot be reached', async () => {
  const [kind] = kinds
  assert.ok(kind)
  const { options } = await kind.gate({ endpoints: [endpoint] })
  const report = await diagnose(kind.engine, { ...options, endpoint }, -1_000, 'http://sts.invalid')
  const { status, finding, remedy } = stepOf(report, 'clock')
  assert.equal(status, 'unknown')
  assert.match(
    finding,
    /^nobody told the time: .* refused the login, and not http:\/\/sts\.invalid \(.+(ENOTFOUND|EAI_AGAIN)/,
  )
  assert.match(remedy ?? '', /^Compare `date -u`/)
})

test('asks nobody else for the time of a server that is not on RDS', async () => {
  const [kind] = kinds
  assert.ok(kind)
  const { options } = await kind.gate()
  requests.length = 0
  const report = await diagnose(kind.engine, options, -1_000, stsUrl)
  assert.equal(stepOf(report, 'clock').finding, 'not tried, because authentication failed')
  assert.deepEqual(requests, [])
})
