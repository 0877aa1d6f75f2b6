import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWriterRegion, type RegionDetail } from '../../../src/access/writer-region.ts'
import { createWriterTokens } from '../../../src/access/writer-tokens.ts'
import { RdsIamError } from '../../../src/errors/rds-iam-error.ts'
import { createTokenCache } from '../../../src/token/cache.ts'
import { runModule } from '../../support/node-process.ts'

const host = 'orders.global-c1x2.global.rds.amazonaws.com'
const clusterIn = (region: string) => `orders.cluster-c1x2.${region}.rds.amazonaws.com`

/** Finds the Region by aliases that the test holds in its hands. */
function createBench({ fallback = 'eu-west-1' }: { fallback?: string | undefined } = {}) {
  const aliases = new Map<string, string>()
  const told: RegionDetail[] = []
  const asked: string[] = []
  const where = {
    host,
    tell: (detail: RegionDetail) => void told.push(detail),
    async resolveCname(name: string): Promise<readonly string[]> {
      asked.push(name)
      const alias = aliases.get(name)
      if (alias === undefined) throw new Error(`queryCname ENODATA ${name}`)
      return [alias]
    },
  }
  return { aliases, told, asked, where, fallback }
}

function findOf({ where, fallback }: ReturnType<typeof createBench>) {
  return createWriterRegion({ ...where, fallback: fallback === '' ? undefined : fallback })
}

test('finds the Region that the global endpoint leads to, by several aliases too, in any case', async () => {
  const bench = createBench()
  bench.aliases
    .set(host, 'Orders.Example.com')
    .set('orders.example.com', clusterIn('us-east-1').toUpperCase())
  assert.equal(await findOf(bench)(), 'us-east-1')
  assert.deepEqual(bench.asked, [host, 'orders.example.com'])
  assert.deepEqual(bench.told, [])
})

test('asks again each time, and tells once that the writer has moved', async () => {
  const bench = createBench()
  const find = findOf(bench)
  for (const region of ['us-east-1', 'us-east-1', 'eu-central-1', 'eu-central-1']) {
    bench.aliases.set(host, clusterIn(region))
    assert.equal(await find(), region)
  }
  assert.equal(bench.asked.length, 4)
  assert.deepEqual(bench.told, [{ event: 'region:moved', from: 'us-east-1', to: 'eu-central-1' }])
})

test('asks once for however many callers wait', async () => {
  const bench = createBench()
  bench.aliases.set(host, clusterIn('us-east-1'))
  const find = findOf(bench)
  assert.deepEqual(await Promise.all([find(), find(), find()]), ['us-east-1', 'us-east-1', 'us-east-1'])
  assert.equal(bench.asked.length, 1)
})

test('takes the Region of the environment where DNS has no answer, and warns once', async () => {
  const bench = createBench()
  const find = findOf(bench)
  assert.deepEqual([await find(), await find()], ['eu-west-1', 'eu-west-1'])
  assert.deepEqual(bench.told, [
    { event: 'region:assumed', region: 'eu-west-1', observed: `queryCname ENODATA ${host}` },
  ])
})

test('stays in the Region that the writer was in while DNS has no answer', async () => {
  const bench = createBench()
  const find = findOf(bench)
  bench.aliases.set(host, clusterIn('us-east-1'))
  await find()
  bench.aliases.clear()
  assert.equal(await find(), 'us-east-1')
  assert.equal(bench.told[0]?.event === 'region:assumed' && bench.told[0].region, 'us-east-1')
  bench.aliases.set(host, clusterIn('us-west-2'))
  assert.equal(await find(), 'us-west-2')
  bench.aliases.clear()
  await find()
  assert.deepEqual(
    bench.told.map(({ event }) => event),
    ['region:assumed', 'region:moved', 'region:assumed'],
  )
})

for (const [title, aliases] of [
  [
    'aliases go in a circle',
    [
      [host, 'a.example.com'],
      ['a.example.com', host],
    ],
  ],
  ['an alias leads to nothing of RDS', [[host, 'a.example.com']]],
] as const) {
  test(`comes to an end where ${title}`, async () => {
    const bench = createBench()
    for (const [name, alias] of aliases) bench.aliases.set(name, alias)
    assert.equal(await findOf(bench)(), 'eu-west-1')
    assert.equal(bench.told.length, 1)
  })
}

test('says what to do where neither DNS nor the environment tells a Region, and asks again', async () => {
  const bench = createBench({ fallback: '' })
  const find = findOf(bench)
  await assert.rejects(find(), (error: unknown) => {
    assert.ok(error instanceof RdsIamError)
    assert.equal(error.code, 'RDS_IAM_UNREACHABLE')
    assert.equal(
      error.message,
      `DNS does not tell in which Region the writer of ${host} is: queryCname ENODATA ${host}. Check the DNS settings of the ` +
        'VPC, and that the name is spelled right; or give the Region that the writer is in as `region`.',
    )
    return true
  })
  bench.aliases.set(host, clusterIn('us-east-1'))
  assert.equal(await find(), 'us-east-1')
})

test('signs for the Region that the writer is in, and gives no token of the Region that it was in', async () => {
  const bench = createBench()
  const signed: string[] = []
  const tokens = createWriterTokens({ ...bench.where, fallback: bench.fallback }, region =>
    createTokenCache(async () => {
      signed.push(region)
      const signedAtMs = Date.now()
      return { value: `token ${signed.length} for ${region}`, signedAtMs, expiresAtMs: signedAtMs + 900_000 }
    }, 60_000),
  )
  const take = async () => {
    const { token, reused } = await tokens.get()
    return `${token.value}${reused ? ', again' : ''}`
  }
  bench.aliases.set(host, clusterIn('us-east-1'))
  assert.equal(await take(), 'token 1 for us-east-1')
  assert.equal(await take(), 'token 1 for us-east-1, again')
  const cached = await tokens.get()
  bench.aliases.set(host, clusterIn('eu-central-1'))
  assert.equal(await take(), 'token 2 for eu-central-1')
  assert.equal(tokens.refuse(cached), true, 'another may do better')
  assert.equal(await take(), 'token 2 for eu-central-1, again')
  bench.aliases.set(host, clusterIn('us-east-1'))
  assert.equal(await take(), 'token 3 for us-east-1')
  assert.deepEqual(signed, ['us-east-1', 'eu-central-1', 'us-east-1'])
})

test('is not loaded with a middleware: whoever has no global database pays nothing for it', async () => {
  const loaded = (await runModule(
    `import { registerHooks } from 'node:module'
     const urls = []
     registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
     const { createPgPool } = await import('./src/pg.ts')
     const options = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app' }
     await createPgPool(options).close()
     console.log(JSON.stringify(urls))`,
  )) as string[]
  assert.ok(loaded.some(url => url.endsWith('/access/writer-tokens.ts')))
  assert.ok(!loaded.some(url => url.endsWith('/access/writer-region.ts')))
})
