import { RdsIamError } from '../errors/rds-iam-error.ts'
import { isLambda, readVariable } from '../options/environment.ts'
import type { Settings } from '../options/settings.ts'
import type { AwsCredentials, AwsCredentialsProvider } from '../token/credentials.ts'
import { readEnvironmentCredentials } from '../token/credentials.ts'
import { readExpirationMs, renewCredentials } from '../token/expiration.ts'
import { checkCredentials } from '../token/signer.ts'
import { explainMissing } from './missing-credentials.ts'
import type { Secrets } from './secrets.ts'
import { type Outcome, StepFailure } from './steps.ts'
import { type TimeLimit, TimeOver, withinLimit } from './time-limit.ts'

/** What the next step signs the token with. */
export interface FoundCredentials {
  /** `undefined` if the signer reads them from the environment by itself, or if the user gave a signer. */
  readonly credentials: AwsCredentialsProvider | undefined
  /** The AWS account that they belong to; `undefined` if they do not tell. */
  readonly account: string | undefined
}

/** Where the credentials come from, and a function that gets them. */
interface Source {
  /** For example `environment`, `option` or `sdk`. */
  readonly kind: string
  readonly name: string
  readonly provide: AwsCredentialsProvider
}

/** Finds the credentials that the middleware would sign with, and says whose they are, if they tell. */
export async function findCredentials(
  settings: Settings,
  secrets: Secrets,
  limit: TimeLimit,
): Promise<Outcome<FoundCredentials>> {
  if (settings.signer !== undefined) {
    const finding = 'the option `signer` signs; no credentials are asked for'
    return {
      finding,
      details: { provider: 'signer' },
      value: { credentials: undefined, account: undefined },
    }
  }
  const source = await findSource(settings)
  const found = await withinLimit(
    provide(source, secrets),
    limit,
    `no credentials from ${source.name}`,
  ).catch((error: unknown) => {
    if (!(error instanceof TimeOver)) throw error
    const remedy =
      'Check that the provider of the credentials answers: a network, a program or a person may be in its way.'
    throw new StepFailure({ code: 'RDS_IAM_CREDENTIALS', observed: error.message, remedy })
  })
  const { accessKeyId, sessionToken } = found
  const { accountId } = found as AwsCredentials & { accountId?: string }
  const endMs = readExpirationMs(found)
  const name = describeSource(source, found)
  const details = {
    provider: source.kind,
    source: name,
    accessKeyId,
    isTemporary: sessionToken !== undefined,
    role: roleOf(found),
    account: accountId,
    expiresAt: endMs === undefined ? undefined : new Date(endMs).toISOString(),
  }
  if (endMs !== undefined && endMs <= Date.now()) {
    const observed = `${name}: access key ${accessKeyId} expired at ${details.expiresAt}`
    throw new StepFailure({ code: 'RDS_IAM_CREDENTIALS', observed, remedy: renewCredentials }, details)
  }
  const end =
    endMs === undefined ? 'no end that they tell' : `until ${new Date(endMs).toISOString()} (${left(endMs)})`
  const finding = `${name}: access key ${accessKeyId}, ${sessionToken === undefined ? 'without' : 'with'} a session token, ${end}`
  const value: FoundCredentials = {
    // The credentials are reused, so that a provider that runs a program or asks a person is called once.
    credentials:
      source.kind === 'environment'
        ? undefined
        : async options => (options?.forceRefresh ? provide(source, secrets, options) : found),
    account: accountId,
  }
  const remedy = doubt(found)
  if (remedy !== undefined) return { status: 'warning', finding, remedy, details, value }
  return { finding, details, value }
}

/** What makes credentials sign for nothing, as far as they show it. */
function doubt({ accessKeyId, secretAccessKey, sessionToken }: AwsCredentials): string | undefined {
  const spaced = Object.entries({ accessKeyId, secretAccessKey, sessionToken }).find(([, text]) =>
    /\s/.test(text ?? ''),
  )
  if (spaced !== undefined)
    return `There is white space in \`${spaced[0]}\`, a line break perhaps, and it is signed with: take it out.`
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
  if (accessKeyId.startsWith('ASIA') && sessionToken === undefined)
    return 'This access key is a temporary one, which is worth nothing without its session token: set AWS_SESSION_TOKEN, or `sessionToken`.'
  if (accessKeyId.startsWith('AKIA') && sessionToken !== undefined)
    return 'This access key is a long-lived one, which has no session token; the one beside it belongs to others: unset AWS_SESSION_TOKEN, or `sessionToken`.'
  return undefined
}

async function findSource({ credentials }: Settings): Promise<Source> {
  if (typeof credentials === 'function')
    return { kind: 'option', name: 'the provider in the option `credentials`', provide: credentials }
  if (credentials !== undefined)
    return { kind: 'option', name: 'the option `credentials`', provide: async () => credentials }
  const environment = readEnvironmentCredentials()
  if (environment !== undefined)
    return {
      kind: 'environment',
      name: isLambda() ? "the function's role, in the environment" : 'the environment',
      provide: async () => environment,
    }
  const { toProvider } = await import('../token/sdk-signer.ts')
  return { kind: 'sdk', name: "the AWS SDK's default chain", provide: await toProvider(undefined) }
}

async function provide(
  { kind, name, provide }: Source,
  secrets: Secrets,
  options?: { forceRefresh?: boolean },
): Promise<AwsCredentials> {
  const found = await provide(options).catch((error: unknown) => {
    if (error instanceof RdsIamError) throw error
    const said = error instanceof Error ? error.message : String(error)
    const { why = said, remedy } = kind === 'sdk' ? explainMissing(said) : { remedy: checkCredentials }
    throw new StepFailure({
      code: 'RDS_IAM_CREDENTIALS',
      observed: `no credentials from ${name}: ${why}`,
      remedy,
    })
  })
  const { accessKeyId, secretAccessKey, sessionToken } = (found ?? {}) as Partial<AwsCredentials>
  secrets.add(secretAccessKey)
  secrets.add(sessionToken)
  if (typeof accessKeyId === 'string' && typeof secretAccessKey === 'string') return found
  throw new StepFailure({
    code: 'RDS_IAM_CREDENTIALS',
    observed: `${name} gave no access key`,
    remedy: 'Check that it gives { accessKeyId, secretAccessKey, sessionToken?, expiration? }.',
  })
}

/**
 * Reads which provider of the SDK gave the credentials. The SDK notes it on them.
 *
 * @see https://github.com/smithy-lang/smithy-typescript `$source` of attributed credentials
 */
function featuresOf(found: AwsCredentials): string {
  const { $source = {} } = found as AwsCredentials & { $source?: Readonly<Record<string, string>> }
  return Object.keys($source).join(' ')
}

/**
 * Reads the role of a web identity from the environment. Credentials of other kinds do not tell their role.
 */
function roleOf(found: AwsCredentials): string | undefined {
  return featuresOf(found).includes('ENV_VARS_STS_WEB_ID') ? readVariable('AWS_ROLE_ARN') : undefined
}

function describeSource({ kind, name }: Source, found: AwsCredentials): string {
  if (kind !== 'sdk') return name
  const features = featuresOf(found)
  const profile = readVariable('AWS_PROFILE')
  const role = roleOf(found)
  const parts = [
    [/PROFILE/, profile === undefined ? 'the default profile' : `the profile ${profile}`],
    [/SSO/, 'by SSO'],
    [/LOGIN/, 'by console login'],
    [/PROCESS/, 'by a program'],
    [/WEB_ID/, `by a web identity${role === undefined ? '' : ` as ${role}`}`],
    [/ASSUME_ROLE(?!_WEB)/, 'by assuming a role'],
    [/HTTP/, "by the container's endpoint"],
    [/IMDS/, "by the instance's metadata"],
  ] as const
  const said = parts.filter(([pattern]) => pattern.test(features)).map(([, text]) => text)
  return [name, ...said].join(', ')
}

function left(endMs: number): string {
  const minutes = Math.floor((endMs - Date.now()) / 60_000)
  return minutes < 120 ? `${minutes} min left` : `${Math.floor(minutes / 60)} h left`
}
