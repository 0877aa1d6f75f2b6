// The writer of an Aurora global database moves from Region to Region: a DNS server of the test says where it is, and a gateway for each
// Region takes the tokens of that Region alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { diagnosePg } from '../../src/diagnose/diagnose-pg.ts'
import { createTokenSource, trustedTls } from '../../src/index.ts'
import { createPgPool, pgOptions } from '../../src/pg.ts'
import type { Gate, Gated } from '../support/database.ts'
import { checked, stepOf } from '../support/diagnosis.ts'
import { useDns } from '../support/dns.ts'
import { setEnvironment } from '../support/environment.ts'
import { type Kind, sessionOf, useKinds } from '../support/kinds.ts'
import { lambdaContext, recordingLogger } from '../support/lambda.ts'
import { startRelay } from '../support/relay.ts'

const dns = await useDns()
const { kinds, missing } = await useKinds()
const host = 'orders.global-c1x2.global.rds.amazonaws.com'
const endpoint = { host, port: 5432 }

/** What the global endpoint leads to while the writer is in a Region. */
function lead(region: string): void {
  dns.aliases.set(host, `orders.cluster-c1x2.${region}.rds.amazonaws.com`)
}

/** A gateway for the writer of the global database in one Region, and no other. */
const gateIn = (gate: Gate, region: string): Promise<Gated> => gate({ region, endpoints: [endpoint] })

/** What reaches the gateway as a client of the global database. */
const optionsFor = ({ options }: Gated) => ({ ...options, endpoint, region: undefined })

async function open(kind: Kind, gated: Gated, given: object = {}) {
  const logger = recordingLogger()
  const handler = kind.createHandler({ ...optionsFor(gated), logger, ...given })
  const invoke = () => handler(sessionOf(kind.sql), lambdaContext())
  const told = (event: string) =>
    logger.lines
      .filter(({ fields }) => fields.event === event)
      .map(({ level, fields: { host, port, user, database, event, ...rest } }) => [level, rest])
  return { invoke, told }
}

test('every server of MySQL is there', { skip: missing }, () => {})

for (const kind of kinds) {
  test(`${kind.name}: signs for the Region where the writer is, and asks DNS once a connection`, async t => {
    setEnvironment(t, { AWS_REGION: 'eu-west-1' })
    lead('us-east-1')
    dns.asked.length = 0
    const { invoke, told } = await open(kind, await gateIn(kind.gate, 'us-east-1'))
    const session = await invoke()
    assert.deepEqual(dns.asked, [host])
    // Warm invocations ask nobody.
    assert.deepEqual([await invoke(), await invoke()], [session, session])
    assert.deepEqual(dns.asked, [host])
    assert.deepEqual([told('region:assumed'), told('region:moved'), told('connection:retried')], [[], [], []])
  })

  test(`${kind.name}: follows the writer to another Region, with a token for that one`, async t => {
    setEnvironment(t, { AWS_REGION: 'eu-west-1' })
    const [here, there] = [await gateIn(kind.gate, 'us-east-1'), await gateIn(kind.gate, 'eu-central-1')]
    const relay = await startRelay(here.options.port)
    lead('us-east-1')
    const { invoke, told } = await open(kind, here, { port: relay.port })
    const session = await invoke()
    assert.equal(told('token:signed').length, 1)
    relay.aim(there.options.port)
    lead('eu-central-1')
    await relay.cut()
    await relay.whenEnded()
    assert.notEqual(await invoke(), session)
    assert.deepEqual(told('region:moved'), [['warn', { from: 'us-east-1', to: 'eu-central-1' }]])
    assert.deepEqual(told('connection:retried'), [])
    assert.equal(told('token:signed').length, 2)
  })

  test(`${kind.name}: takes AWS_REGION where DNS does not know the name, and warns`, async t => {
    setEnvironment(t, { AWS_REGION: 'eu-west-1' })
    dns.aliases.clear()
    const { invoke, told } = await open(kind, await gateIn(kind.gate, 'eu-west-1'))
    await invoke()
    const observed = `queryCname ENOTFOUND ${host}`
    assert.deepEqual(told('region:assumed'), [['warn', { region: 'eu-west-1', observed }]])
  })

  test(`${kind.name}: asks nobody where the option \`region\` says it`, async () => {
    lead('us-east-1')
    dns.asked.length = 0
    const { invoke } = await open(kind, await gateIn(kind.gate, 'eu-west-1'), { region: 'eu-west-1' })
    await invoke()
    assert.deepEqual(dns.asked, [])
  })
}

const [{ gate }] = kinds as [Kind]

test('a writer that moves while DNS lags behind is found by the attempts that follow a refusal', async t => {
  setEnvironment(t, { AWS_REGION: 'eu-west-1' })
  lead('us-east-1')
  const there = await gateIn(gate, 'eu-central-1')
  const pool = createPgPool({
    ...optionsFor(there),
    logger: { ...recordingLogger(), warn: () => lead('eu-central-1') },
  })
  t.after(() => pool.close())
  await pool.query('SELECT 1')
  assert.deepEqual(
    there.decisions.map(({ verdict }) => verdict),
    ['refused', 'admitted'],
  )
})

test('comes to a decision where DNS keeps silent', async t => {
  setEnvironment(t, { AWS_REGION: 'eu-west-1' })
  dns.isSilent = true
  t.after(() => {
    dns.isSilent = false
  })
  const { invoke, told } = await open(kinds[0] as Kind, await gateIn(gate, 'eu-west-1'))
  await invoke()
  const observed = `queryCname ETIMEOUT ${host}`
  assert.deepEqual(told('region:assumed'), [['warn', { region: 'eu-west-1', observed }]])
})

test('says what to do where nothing tells the Region', async t => {
  setEnvironment(t, { AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined })
  dns.aliases.clear()
  const pool = createPgPool(optionsFor(await gateIn(gate, 'us-east-1')))
  t.after(() => pool.close())
  await assert.rejects(pool.query('SELECT 1'), {
    code: 'RDS_IAM_UNREACHABLE',
    message: /^DNS does not tell in which Region the writer of orders\.global-c1x2\..*`region`\.$/,
  })
  lead('us-east-1')
  await pool.query('SELECT 1')
})

test('an error names the Region that was found, and the cluster whose id the role needs', async t => {
  setEnvironment(t, { AWS_REGION: 'eu-west-1' })
  lead('us-east-1')
  const other = await gateIn(gate, 'eu-central-1')
  const pool = createPgPool({ ...optionsFor(other), retryRefused: false })
  t.after(() => pool.close())
  await assert.rejects(pool.query('SELECT 1'), {
    code: 'RDS_IAM_ACCESS_DENIED',
    message: /in us-east-1: .*arn:aws:rds-db:us-east-1:<account>:dbuser:<cluster-…>\/notes_app/,
  })
})

test('options for another library follow the writer too, and trust every Region', async t => {
  setEnvironment(t, { AWS_REGION: 'eu-west-1' })
  lead('us-east-1')
  const options = await pgOptions(optionsFor(await gateIn(gate, 'us-east-1')))
  assert.ok(options.ssl.ca.length > 80)
  const client = new pg.Client(options)
  await client.connect()
  await client.end()
  assert.equal((await trustedTls({ host })).ca.length, options.ssl.ca.length - 1)
  assert.ok((await trustedTls({ host, region: 'eu-west-1' })).ca.length < 10)
})

test('createTokenSource signs for the Region where the writer is when it is asked', async t => {
  setEnvironment(t, { AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined })
  const credentials = { accessKeyId: 'defaultkey', secretAccessKey: 'defaultsecret' }
  const token = createTokenSource({ ...endpoint, user: 'orders_app', credentials })
  for (const region of ['us-east-1', 'eu-central-1']) {
    lead(region)
    assert.match(
      await token(),
      new RegExp(`^${host}:5432/\\?.*X-Amz-Credential=defaultkey%2F\\d+%2F${region}%2F`),
    )
  }
})

test('the diagnosis goes where the writer is, and says how it knows', async t => {
  setEnvironment(t, { AWS_REGION: 'eu-west-1' })
  lead('us-east-1')
  const diagnose = checked(diagnosePg)
  const given = optionsFor(await gateIn(gate, 'us-east-1'))
  const report = await diagnose(given)
  assert.ok(report.ok, JSON.stringify(report.steps))
  assert.equal(
    stepOf(report, 'region').finding,
    'us-east-1, where the writer of the global database is by DNS',
  )
  assert.match(stepOf(report, 'token').finding, /in us-east-1, signed by/)

  dns.aliases.clear()
  const { status, finding, remedy } = stepOf(await diagnose(given), 'region')
  assert.equal(status, 'warning')
  assert.match(
    finding,
    /^eu-west-1, from the environment, because DNS does not tell it: queryCname ENOTFOUND/,
  )
  assert.match(remedy ?? '', /`region`/)
})
