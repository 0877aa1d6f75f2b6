// Where the AWS SDK finds credentials, with what it asks for them on this machine.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { diagnosePg } from '../../../src/diagnose/diagnose-pg.ts'
import { usePostgres } from '../../support/database.ts'
import { assertNoSecret, checked, stepOf } from '../../support/diagnosis.ts'
import { setEnvironment, withoutCredentials } from '../../support/environment.ts'

const secret = {
  accessKeyId: 'ASIADIAGNOSISEXAMPLE',
  secretAccessKey: 'secret/of+a=role/secret/of+a=role',
  sessionToken: 'session/of+a=role/session/of+a=role',
}
const expiration = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 3_600_000)
const roleArn = 'arn:aws:iam::123456789012:role/orders'

const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-credentials-'))
/** The endpoint of a container, and STS. */
const aws = createServer((request, response) => {
  const { accessKeyId, secretAccessKey, sessionToken } = secret
  if (request.url === '/container') {
    const Expiration = expiration.toISOString()
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        AccessKeyId: accessKeyId,
        SecretAccessKey: secretAccessKey,
        Token: sessionToken,
        Expiration,
      }),
    )
    return
  }
  response.setHeader('content-type', 'text/xml')
  response.end(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
    <Credentials><AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey>
    <SessionToken>${sessionToken}</SessionToken><Expiration>${expiration.toISOString()}</Expiration></Credentials>
    <AssumedRoleUser><Arn>${roleArn}</Arn><AssumedRoleId>x</AssumedRoleId></AssumedRoleUser>
    </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)
})
aws.listen(0, '127.0.0.1')
await once(aws, 'listening')
const url = `http://127.0.0.1:${(aws.address() as { port: number }).port}`
after(() => {
  aws.closeAllConnections()
  aws.close()
  rmSync(folder, { recursive: true })
})
const { gate } = await usePostgres()
const diagnose = checked(diagnosePg)

function write(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const program = write(
  'program.sh',
  `#!/bin/sh\necho '${JSON.stringify({
    Version: 1,
    AccessKeyId: secret.accessKeyId,
    SecretAccessKey: secret.secretAccessKey,
    SessionToken: secret.sessionToken,
    Expiration: expiration.toISOString(),
  })}'\n`,
)
chmodSync(program, 0o700)

for (const [title, variables, source, role] of [
  [
    'a program of a profile',
    {
      AWS_PROFILE: 'program',
      AWS_CONFIG_FILE: write('config', `[profile program]\ncredential_process = ${program}\n`),
    },
    "the AWS SDK's default chain, the profile program, by a program",
    undefined,
  ],
  [
    'the endpoint of a container',
    { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/container` },
    "the AWS SDK's default chain, by the container's endpoint",
    undefined,
  ],
  [
    'a web identity',
    {
      AWS_WEB_IDENTITY_TOKEN_FILE: write('web-identity', 'web-identity-token'),
      AWS_ROLE_ARN: roleArn,
      AWS_ENDPOINT_URL_STS: url,
      AWS_REGION: 'eu-west-1',
    },
    `the AWS SDK's default chain, by a web identity as ${roleArn}`,
    roleArn,
  ],
] as const) {
  test(`says that the credentials come from ${title}, and when they end`, async t => {
    setEnvironment(t, { ...withoutCredentials, ...variables })
    const { options } = await gate({ credentials: [secret] })
    const report = await diagnose({ ...options, credentials: undefined })
    assertNoSecret(JSON.stringify(report), [
      secret.secretAccessKey,
      secret.sessionToken,
      'web-identity-token',
    ])
    const { finding, details } = stepOf(report, 'credentials')
    assert.ok(
      finding.startsWith(`${source}: access key ASIADIAGNOSISEXAMPLE, with a session token, until `),
      finding,
    )
    assert.deepEqual(
      [details?.expiresAt, details?.role, details?.account],
      [expiration.toISOString(), role, role && '123456789012'],
    )
    assert.equal(report.ok, true)
  })
}
