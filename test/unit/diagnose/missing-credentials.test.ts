// With the AWS SDK itself, which finds nothing, and forgets why.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { diagnosePg } from '../../../src/diagnose/diagnose-pg.ts'
import { stepOf } from '../../support/diagnosis.ts'
import { setEnvironment, withoutCredentials } from '../../support/environment.ts'
import { nodeFlags } from '../../support/node-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-profiles-'))
after(() => rmSync(folder, { recursive: true }))
const write = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const role = 'role_arn = arn:aws:iam::123456789012:role/orders'
const sso = 'sso_account_id = 123456789012\nsso_role_name = dev'
const config = write(
  'config',
  `[default]
region = eu-west-1
[unmarked]
region = eu-west-1
[profile signed-out]
sso_session = corp
${sso}
[profile expired]
sso_session = old
${sso}
[profile legacy]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
${sso}
[profile lost]
sso_session = gone
${sso}
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[sso-session old]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[profile orphan]
${role}
source_profile = gone
[profile a]
${role}
source_profile = b
[profile b]
${role}
source_profile = a
[profile "no source"]
${role}
[profile of-instance]
${role}
credential_source = Ec2InstanceMetadata
[profile of-nothing]
${role}
credential_source = Environment
[profile web]
${role}
web_identity_token_file = ${join(folder, 'no-token')}
[profile program]
credential_process = sh -c 'echo a-secret-that-a-program-says >&2; exit 3'
[profile console]
login_session = arn:aws:iam::123456789012:user/somebody
`,
)
const credentials = write(
  'credentials',
  '# A comment\n[half]\naws_access_key_id = AKIAHALF\n[unmarked2]\nregion = eu-west-1\n',
)
const cache = join(folder, '.aws', 'sso', 'cache')
mkdirSync(cache, { recursive: true })
writeFileSync(
  join(cache, `${createHash('sha1').update('old').digest('hex')}.json`),
  JSON.stringify({ accessToken: 'a-token-of-sso', expiresAt: '2026-01-01T00:00:00Z' }),
)

const files = { AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: credentials, HOME: folder }

async function diagnose(
  t: { after(restore: () => void): void },
  variables: Readonly<Record<string, string | undefined>>,
) {
  setEnvironment(t, { ...withoutCredentials, AWS_ROLE_ARN: undefined, ...files, ...variables })
  // No name, so that only the credentials are looked for.
  const options = { host: 'database.invalid', user: 'app', region: 'eu-west-1' }
  const report = await diagnosePg(options)
  assert.doesNotMatch(JSON.stringify(report), /a-secret-that|a-token-of-sso/)
  const { finding, remedy = '', code } = stepOf(report, 'credentials')
  assert.equal(code, 'RDS_IAM_CREDENTIALS')
  const [, found] = /^no credentials from the AWS SDK's default chain: (.*)$/.exec(finding) ?? []
  return { finding: found ?? assert.fail(finding), remedy }
}

test('says which profile is missing, where it was looked for, and which there are', async t => {
  const { finding, remedy } = await diagnose(t, { AWS_PROFILE: 'mising' })
  assert.equal(
    finding,
    `there is no profile "mising" in ${config} or ${credentials}, where there are a, b, console, default, expired, half, ` +
      'legacy, lost, no source, of-instance, of-nothing, orphan, program, signed-out, unmarked2, web',
  )
  assert.match(
    remedy,
    /^Correct the name of the profile \(AWS_PROFILE\), or make it: `aws configure sso --profile mising`/,
  )
})

test('says that a section of the configuration lacks the word profile', async t => {
  const { remedy } = await diagnose(t, { AWS_PROFILE: 'unmarked' })
  assert.match(
    remedy,
    /The section \[unmarked\] of the first file is no profile there until it is called \[profile unmarked\]/,
  )
})

test('says that keys in the environment are not looked at beside a profile', async t => {
  const keys = { AWS_ACCESS_KEY_ID: 'AKIAHERE', AWS_SECRET_ACCESS_KEY: 'a-secret-that-is-here' }
  const { remedy } = await diagnose(t, { AWS_PROFILE: 'mising', ...keys })
  assert.match(remedy, /AWS_ACCESS_KEY_ID is set too, and is not looked at while AWS_PROFILE is set\.$/)
})

for (const [profile, finding, remedy] of [
  [
    'signed-out',
    /^the SSO session of the profile "signed-out" has ended, or never began: .*not found/,
    /`aws sso login --profile signed-out`/,
  ],
  [
    'expired',
    /^the SSO session of the profile "expired" has ended, or never began: /,
    /`aws sso login --profile expired`/,
  ],
  [
    'legacy',
    /^the SSO session of the profile "legacy" has ended, or never began: .*is invalid/,
    /`aws sso login --profile legacy`/,
  ],
  [
    'lost',
    /names the sso_session "gone", and there is no \[sso-session gone\]$/,
    /^Correct the name, or make it/,
  ],
  [
    'orphan',
    /^the source_profile of "orphan" is missing: there is no profile "gone" in /,
    /^Correct source_profile/,
  ],
  ['a', /^the profiles "a", "b", "a" are each other's source_profile$/, /^Let one of them have credentials/],
  ['no source', /^the profile "no source" has a role_arn, and neither a source_profile nor/, /^Give it one/],
  [
    'of-instance',
    /with the credentials of Ec2InstanceMetadata, which does not answer$/,
    /^Use this profile where/,
  ],
  ['of-nothing', /with the credentials of the environment, which has none$/, /^Set AWS_ACCESS_KEY_ID and/],
  [
    'web',
    /^the file .*no-token of web_identity_token_file of the profile "web" cannot be read \(ENOENT\)$/,
    /^Check the path/,
  ],
  [
    'program',
    /^the credential_process of the profile "program" failed, or gave no credentials$/,
    /^Run that program by hand/,
  ],
  [
    'console',
    /^the login of the profile "console" has ended, or never began: Failed to load token/,
    /`aws login --profile console`/,
  ],
  [
    'half',
    /^the profile "half" has only one of aws_access_key_id and aws_secret_access_key$/,
    /^Give it both/,
  ],
  [
    'default',
    /^the profile "default" has no credentials, only region$/,
    /choose another by AWS_PROFILE: a, b, console/,
  ],
] as const) {
  test(`says what the profile ${profile} lacks`, async t => {
    const found = await diagnose(t, { AWS_PROFILE: profile })
    assert.match(found.finding, finding)
    assert.match(found.remedy, remedy)
  })
}

const noFiles = { AWS_CONFIG_FILE: join(folder, 'none'), AWS_SHARED_CREDENTIALS_FILE: folder }

for (const [title, variables, finding, remedy] of [
  [
    'half a key pair',
    { AWS_ACCESS_KEY_ID: 'AKIAHALF' },
    /^AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not$/,
    /^Set both/,
  ],
  [
    'a web identity without its file',
    {
      AWS_WEB_IDENTITY_TOKEN_FILE: '/nonexistent/token',
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/orders',
    },
    /^the file \/nonexistent\/token of AWS_WEB_IDENTITY_TOKEN_FILE cannot be read \(ENOENT\)$/,
    /^Check the path/,
  ],
  [
    'a web identity without its role',
    { AWS_WEB_IDENTITY_TOKEN_FILE: config },
    /^AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not$/,
    /^Set both/,
  ],
  [
    'files that are not there, or none',
    noFiles,
    /there is no profile "default" in \S+none \(not there\) or \S+ \(EISDIR\), and no other; and AWS_EC2_METADATA_DISABLED keeps/,
    /^Check that the process has AWS credentials/,
  ],
  [
    'an instance whose metadata does not answer',
    {
      ...noFiles,
      AWS_EC2_METADATA_DISABLED: undefined,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:9',
    },
    /and the metadata of an instance does not answer$/,
    /^Check that the process has AWS credentials/,
  ],
] as const) {
  test(`says why there are no credentials with ${title}`, async t => {
    const found = await diagnose(t, variables)
    assert.match(found.finding, finding)
    assert.match(found.remedy, remedy)
  })
}

const notRoot = process.getuid?.() !== 0 && 'only root can become a user without a home'
test('says so to a user who has no home', { skip: notRoot }, () => {
  const module = new URL('../../../src/diagnose/diagnose-pg.ts', import.meta.url).href
  // The modules are loaded before: they may lie where only root can read them.
  const script = `
    import { diagnosePg } from '${module}'
    const options = { host: 'database.invalid', user: 'app', region: 'eu-west-1' }
    await diagnosePg(options)
    delete process.env.HOME
    process.setuid(3_999_999)
    const { steps } = await diagnosePg(options)
    console.log(JSON.stringify(steps.find(step => step.name === 'credentials')))`
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [...nodeFlags, '--input-type=module', '--eval', script],
    { env: { PATH: process.env.PATH, HOME: folder, AWS_EC2_METADATA_DISABLED: 'true' }, encoding: 'utf8' },
  )
  assert.notEqual(stdout, '', stderr)
  const { code, finding, remedy } = JSON.parse(stdout)
  assert.equal(code, 'RDS_IAM_CREDENTIALS')
  assert.match(finding, /: this user has no home, where the AWS SDK looks for profiles$/)
  assert.match(remedy, /^Set HOME to a folder, or/)
})
