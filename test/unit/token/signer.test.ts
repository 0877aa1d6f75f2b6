import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Signer } from '@aws-sdk/rds-signer'
import { RdsIamError } from '../../../src/errors/rds-iam-error.ts'
import type { AwsCredentials, AwsCredentialsProvider } from '../../../src/token/credentials.ts'
import { createSigner } from '../../../src/token/signer.ts'
import type { TokenSigner } from '../../../src/token/signer-request.ts'
import { setEnvironment, withoutCredentials } from '../../support/environment.ts'
import { runModule } from '../../support/node-process.ts'

const now = Date.UTC(2026, 0, 1, 12, 34, 56, 789)
const minute = 60_000
const request = {
  host: 'orders.c1x2.eu-west-1.rds.amazonaws.com',
  port: 5432,
  region: 'eu-west-1',
  user: 'app',
}
const keys = { accessKeyId: 'ASIAEXAMPLE', secretAccessKey: 'secret/access+key' }
const longSessionToken = `${'IQoJb3JpZ2luX2VjE/+=='.repeat(80)}END==`

const withCredentials = (credentials: AwsCredentials | AwsCredentialsProvider, to = request) =>
  createSigner({ request: to, credentials, signer: undefined })
const withEnvironment = (to = request) =>
  createSigner({ request: to, credentials: undefined, signer: undefined })
const withSigner = (signer: TokenSigner) => createSigner({ request, credentials: undefined, signer })

/** The address and the parameters as they are sent, in an order that does not depend on the signer. */
function takeApart(token: string) {
  const [address, query = ''] = token.split('?')
  return { address, parameters: query.split('&').sort() }
}

async function catchError(run: () => Promise<unknown>): Promise<RdsIamError> {
  const error = await run().then(
    () => assert.fail('nothing was thrown'),
    error => error,
  )
  assert.ok(error instanceof RdsIamError, inspect(error))
  return error
}

for (const [title, user, sessionToken] of [
  ['static keys', 'orders_app', undefined],
  ['a session token', 'orders_app', longSessionToken],
  ['a user in upper case', 'ORDERS_App', undefined],
  ['a user of every sort of character', `a b+c/é'(*)!~&=?#%@:"\\|;,<>[]{}^\`$-._`, undefined],
  ['the same user and a session token', `a b+c/é'(*)!~`, longSessionToken],
  ['a user outside the basic plane', '数据😀', undefined],
] as const) {
  test(`signs as @aws-sdk/rds-signer does, parameter by parameter: ${title}`, async t => {
    t.mock.timers.enable({ apis: ['Date'], now })
    setEnvironment(t, {
      ...withoutCredentials,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      AWS_SESSION_TOKEN: sessionToken,
    })
    const credentials = sessionToken === undefined ? keys : { ...keys, sessionToken }
    const { host: hostname, port, region } = request
    const expected = await new Signer({ hostname, port, region, username: user, credentials }).getAuthToken()
    const token = await withEnvironment({ ...request, user })()
    assert.deepEqual(takeApart(token.value), takeApart(expected))
    assert.equal(new URLSearchParams(expected.split('?')[1]).get('DBUser'), user)
    assert.equal(token.signedAtMs, now - 789)
    assert.equal(token.expiresAtMs, now - 789 + 900_000)
  })
}

for (const [title, other, second] of [
  ['in China', { host: 'orders.c1x2.rds.cn-north-1.amazonaws.com.cn', region: 'cn-north-1' }, now],
  ['at another port', { port: 65_535 }, now],
  ['in the last millisecond of a year', {}, Date.UTC(2026, 11, 31, 23, 59, 59, 999)],
  ['on a leap day, at midnight', {}, Date.UTC(2028, 1, 29)],
] as const) {
  test(`signs as @aws-sdk/rds-signer does ${title}`, async t => {
    t.mock.timers.enable({ apis: ['Date'], now: second })
    setEnvironment(t, {
      ...withoutCredentials,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    })
    const to = { ...request, ...other }
    const { host: hostname, port, region, user: username } = to
    const expected = await new Signer({ hostname, port, region, username, credentials: keys }).getAuthToken()
    assert.deepEqual(takeApart((await withEnvironment(to)()).value), takeApart(expected))
  })
}

test('signs with credentials given as an option as with the same in the environment', async t => {
  t.mock.timers.enable({ apis: ['Date'], now })
  setEnvironment(t, {
    ...withoutCredentials,
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_SESSION_TOKEN: longSessionToken,
  })
  const [given, found] = await Promise.all([
    withCredentials({ ...keys, sessionToken: longSessionToken })(),
    withEnvironment()(),
  ])
  assert.deepEqual(takeApart(given.value), takeApart(found.value))
})

for (const [title, variables] of [
  ['a profile is chosen', { AWS_PROFILE: 'nobody' }],
  ['there is no access key', { AWS_ACCESS_KEY_ID: undefined }],
  ['the secret key is empty', { AWS_SECRET_ACCESS_KEY: '' }],
] as const) {
  test(`leaves credentials to the SDK’s chain where ${title}`, async t => {
    setEnvironment(t, {
      ...withoutCredentials,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      ...variables,
    })
    const { code, message, cause } = await catchError(withEnvironment())
    assert.equal(code, 'RDS_IAM_CREDENTIALS')
    assert.match(message, /AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\.$/)
    assert.equal((cause as Error).name, 'CredentialsProviderError')
  })
}

test('signs with the credentials of the options where the environment has others', async t => {
  setEnvironment(t, {
    ...withoutCredentials,
    AWS_ACCESS_KEY_ID: 'AKIAENVIRONMENT',
    AWS_SECRET_ACCESS_KEY: 'another secret',
  })
  assert.match((await withCredentials(keys)()).value, /X-Amz-Credential=ASIAEXAMPLE%2F/)
})

test('lets a token die with credentials of the environment', async t => {
  t.mock.timers.enable({ apis: ['Date'], now })
  const expiration = new Date(now + 5 * minute)
  setEnvironment(t, {
    ...withoutCredentials,
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_CREDENTIAL_EXPIRATION: expiration.toISOString(),
  })
  assert.equal((await withEnvironment()()).expiresAtMs, expiration.getTime())
})

test('lets a token die with the credentials of a provider', async t => {
  t.mock.timers.enable({ apis: ['Date'], now })
  const expiration = new Date(now + 5 * minute)
  assert.equal(
    (await withCredentials(async () => ({ ...keys, expiration }))()).expiresAtMs,
    expiration.getTime(),
  )
})

const expired = new Date(Date.UTC(2020, 0, 1))

test('refuses expired credentials of the environment, and says since when', async t => {
  setEnvironment(t, {
    ...withoutCredentials,
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_CREDENTIAL_EXPIRATION: expired.toISOString(),
  })
  const { code, message } = await catchError(withEnvironment())
  assert.equal(code, 'RDS_IAM_CREDENTIALS')
  assert.match(message, /expired at 2020-01-01T00:00:00\.000Z\. Renew them/)
})

test('refuses credentials in the very millisecond of their end', async t => {
  t.mock.timers.enable({ apis: ['Date'], now })
  setEnvironment(t, {
    ...withoutCredentials,
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_CREDENTIAL_EXPIRATION: new Date(now).toISOString(),
  })
  const { message } = await catchError(withEnvironment())
  assert.match(message, /expired at 2026-01-01T12:34:56\.789Z/)
})

for (const [title, credentials] of [
  ['static', { ...keys, expiration: expired }],
  ['a provider’s', async () => ({ ...keys, expiration: expired })],
] as const) {
  test(`refuses expired credentials, ${title}, and says since when`, async () => {
    const { code, message } = await catchError(withCredentials(credentials))
    assert.equal(code, 'RDS_IAM_CREDENTIALS')
    assert.match(message, /expired at 2020-01-01T00:00:00\.000Z/)
  })
}

test('keeps the error of a provider as the cause, and says who wanted to go where', async () => {
  const failure = new Error('the token file is gone')
  const { code, message, cause } = await catchError(
    withCredentials(async () => {
      throw failure
    }),
  )
  assert.equal(code, 'RDS_IAM_CREDENTIALS')
  assert.equal(cause, failure)
  assert.match(
    message,
    /app@orders\.c1x2\.eu-west-1\.rds\.amazonaws\.com:5432 in eu-west-1: the token file is gone\./,
  )
})

/** Writes a key pair as the shared credentials file has it. */
const writeKeys = (file: string, profile: string, accessKeyId: string) =>
  writeFileSync(file, `[${profile}]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = secret\n`)

test('reads the shared credentials file again after a refused token, and not before', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-keys-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'credentials')
  setEnvironment(t, { ...withoutCredentials, AWS_PROFILE: 'work', AWS_SHARED_CREDENTIALS_FILE: file })
  writeKeys(file, 'work', 'AKIAOLD')
  const sign = withEnvironment()
  assert.match((await sign()).value, /X-Amz-Credential=AKIAOLD%2F/)
  writeKeys(file, 'work', 'AKIANEW')
  assert.match((await sign(false)).value, /X-Amz-Credential=AKIAOLD%2F/)
  assert.match((await sign(true)).value, /X-Amz-Credential=AKIANEW%2F/)
  assert.match((await sign()).value, /X-Amz-Credential=AKIANEW%2F/)
})

test('asks a provider anew after a refused token where its credentials tell no end, and no other provider', async () => {
  for (const expiration of [undefined, new Date(Date.now() + 60 * minute)]) {
    const asked: unknown[] = []
    const sign = withCredentials(async options => {
      asked.push(options?.forceRefresh)
      return { ...keys, ...(expiration === undefined ? {} : { expiration }) }
    })
    await sign()
    await sign(true)
    await sign()
    assert.deepEqual(asked, [undefined, expiration === undefined ? true : undefined, undefined])
  }
})

test('asks a provider anew where a token was refused before its first one', async () => {
  const asked: unknown[] = []
  await withCredentials(async options => {
    asked.push(options?.forceRefresh)
    return keys
  })(true)
  assert.deepEqual(asked, [true])
})

test('asks a provider again where its credentials are about to end, and signs with the new ones', async () => {
  const asked: unknown[] = []
  const token = await withCredentials(async options => {
    asked.push(options?.forceRefresh)
    return options?.forceRefresh
      ? { ...keys, accessKeyId: 'ASIANEW', expiration: new Date(Date.now() + 60 * minute) }
      : { ...keys, expiration: new Date(Date.now() + 14 * minute) }
  })()
  assert.deepEqual(asked, [undefined, true])
  assert.match(token.value, /X-Amz-Credential=ASIANEW%2F/)
  assert.equal(token.expiresAtMs, token.signedAtMs + 900_000)
})

test('signs with what a provider has where it cannot renew it, and lets the token die early', async () => {
  const expiration = new Date(Date.now() + 5 * minute)
  const token = await withCredentials(async options => {
    if (options?.forceRefresh) throw new Error('the service is down')
    return { ...keys, expiration }
  })()
  assert.equal(token.expiresAtMs, expiration.getTime())
})

test('says what to do where there are no AWS credentials at all', async t => {
  const home = mkdtempSync(join(tmpdir(), 'middy-rds-iam-home-'))
  t.after(() => rmSync(home, { recursive: true }))
  const error = (await runModule(
    `import { createSigner } from './src/token/signer.ts'
     const sign = createSigner({ request: ${JSON.stringify(request)}, credentials: undefined, signer: undefined })
     const error = await sign().catch(error => error)
     console.log(JSON.stringify({ code: error.code, message: error.message, cause: error.cause?.name }))`,
    {
      HOME: home,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_SHARED_CREDENTIALS_FILE: join(home, 'none'),
      AWS_CONFIG_FILE: join(home, 'none'),
    },
  )) as { code: string; message: string; cause: string }
  assert.equal(error.code, 'RDS_IAM_CREDENTIALS')
  assert.equal(error.cause, 'CredentialsProviderError')
  assert.match(error.message, /AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/)
  assert.match(error.message, /in Lambda the role of the function/)
})

for (const [title, expiration] of [
  ['a text', '2030-01-01T00:00:00Z'],
  ['no date', new Date('soon')],
] as const) {
  test(`says that the expiration of credentials is ${title}`, async () => {
    const { code, message } = await catchError(
      withCredentials({ ...keys, expiration: expiration as unknown as Date }),
    )
    assert.equal(code, 'RDS_IAM_CREDENTIALS')
    assert.match(message, /`expiration` that `credentials` gives/)
  })
}

test('says that AWS_CREDENTIAL_EXPIRATION is no date', async t => {
  setEnvironment(t, {
    ...withoutCredentials,
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 'b',
    AWS_CREDENTIAL_EXPIRATION: 'soon',
  })
  const { code, message } = await catchError(
    createSigner({ request, credentials: undefined, signer: undefined }),
  )
  assert.equal(code, 'RDS_IAM_CREDENTIALS')
  assert.match(message, /Check AWS_CREDENTIAL_EXPIRATION/)
})

test('takes a custom signer’s token, signs for what it was asked, and uses no credentials', async t => {
  setEnvironment(t, withoutCredentials)
  let asked: unknown
  const token = await withSigner(async received => {
    asked = received
    return (await withCredentials(keys)()).value
  })()
  assert.deepEqual(asked, request)
  assert.ok(token.value.startsWith(`${request.host}:${request.port}/?`))
})

const foreignToken = async (to: Partial<typeof request>) =>
  (await withCredentials(keys, { ...request, ...to })()).value

for (const [title, signer] of [
  ['a password', async () => 'correct-horse-battery-staple'],
  ['a token for another host', () => foreignToken({ host: 'other.c1x2.eu-west-1.rds.amazonaws.com' })],
  ['a token for a host that begins like it', () => foreignToken({ host: `${request.host}.example.com` })],
  ['a token for another port', () => foreignToken({ port: 5433 })],
  ['a token for another Region', () => foreignToken({ region: 'us-east-1' })],
  ['a token for another user', () => foreignToken({ user: 'someone_else' })],
  ['a token without its signature', async () => (await foreignToken({})).replace(/X-Amz-Signature=\w+/, '')],
  ['a URL', async () => `https://${await foreignToken({})}`],
  ['nothing', async () => undefined as unknown as string],
] as const) {
  test(`sends nothing that is not a token for the database: a custom signer returns ${title}`, async () => {
    let returned = ''
    const error = await catchError(
      withSigner(async () => {
        returned = await signer()
        return returned
      }),
    )
    assert.equal(error.code, 'RDS_IAM_CREDENTIALS')
    assert.match(
      error.message,
      /did not return an authentication token for app@orders\.c1x2\.eu-west-1\.rds\.amazonaws\.com:5432/,
    )
    assert.match(error.message, /returns what `Signer\.getAuthToken\(\)` of @aws-sdk\/rds-signer does/)
    if (returned === undefined) return
    const shown = inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true })
    assert.ok(!shown.includes(returned), 'the error shows what the signer returned')
    assert.doesNotMatch(shown, /X-Amz-/)
  })
}

test('keeps the error of a custom signer as the cause, thrown at once or later', async () => {
  const failure = new Error('the key store is closed')
  const fail = () => {
    throw failure
  }
  for (const signer of [fail, async () => fail()]) {
    const { code, cause } = await catchError(withSigner(signer))
    assert.equal(code, 'RDS_IAM_CREDENTIALS')
    assert.equal(cause, failure)
  }
})

test('loads nothing of the AWS SDK before the first token, and for keys in the environment nothing at all', async () => {
  // module.registerHooks sees every module that is loaded, by import as by require.
  const loaded = (await runModule(
    `import { registerHooks } from 'node:module'
     let urls = []
     registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
     const take = () => urls.splice(0).map(url => /.*node_modules[/]((?:@[^/]+[/])?[^/]+)/.exec(url)?.[1] ?? 'own')
     const { iamPg, iamPgPool } = await import('./src/pg.ts')
     const { createSigner } = await import('./src/token/signer.ts')
     const request = ${JSON.stringify(request)}
     const options = { host: request.host, user: request.user }
     iamPg(options)
     iamPgPool(options)
     const before = take()
     await createSigner({ request })()
     const environment = take()
     await createSigner({ request, credentials: { accessKeyId: 'a', secretAccessKey: 'b' } })()
     console.log(JSON.stringify({ before, environment, sdk: take() }))`,
    { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' },
  )) as Record<'before' | 'environment' | 'sdk', string[]>
  const ofAws = (names: string[]) => [...new Set(names.filter(name => /^@(aws-sdk|smithy)\//.test(name)))]
  assert.ok(loaded.before.includes('pg'), 'the hook sees what is loaded')
  assert.deepEqual(ofAws(loaded.before), [])
  assert.deepEqual(ofAws(loaded.environment), [])
  assert.ok(ofAws(loaded.sdk).includes('@aws-sdk/rds-signer'))
})
