import { accessSync } from 'node:fs'
import { readVariable } from '../options/environment.ts'
import { checkCredentials } from '../token/signer.ts'
import { type AwsProfiles, readAwsProfiles } from './aws-profiles.ts'

/** Why the AWS SDK found no credentials. */
interface Reason {
  /** `undefined` where the SDK's own words say it. */
  readonly why: string | undefined
  readonly remedy: string
}

/** The SDK's words where every provider had nothing, which each of them had a reason for. */
const nothing = /Could not load credentials from any providers/

/**
 * Says why the SDK's default chain found no credentials. The chain asks one provider after the other and
 * forgets what each said, so this reads what they read.
 *
 * @param said What the SDK said.
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
 */
export function explainMissing(said: string): Reason {
  // The words of Node.js, for a user of a container for example, whom no file of the system knows.
  if (said.includes('uv_os_homedir'))
    return {
      why: 'this user has no home, where the AWS SDK looks for profiles',
      remedy: 'Set HOME to a folder, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
    }
  const known = readAwsProfiles()
  const given = readVariable('AWS_PROFILE')
  const byProfile = () =>
    given !== undefined || known.profiles.has('default')
      ? explainProfile(known, given ?? 'default', said, [])
      : undefined
  // Without a profile that was chosen, the chain asks variables first.
  const found =
    given === undefined
      ? (explainEnvironment(said) ?? byProfile())
      : (byProfile() ?? explainEnvironment(said))
  if (found !== undefined) return found
  if (!nothing.test(said)) return { why: undefined, remedy: checkCredentials }
  const metadata =
    readVariable('AWS_EC2_METADATA_DISABLED') === 'true'
      ? 'AWS_EC2_METADATA_DISABLED keeps it from the metadata of an instance'
      : 'the metadata of an instance does not answer'
  const why = `neither AWS_PROFILE nor AWS_ACCESS_KEY_ID is set; ${describeAbsence(known, 'default')}; and ${metadata}`
  return { why, remedy: checkCredentials }
}

/** @param path The profiles that led here, by `source_profile`. */
function explainProfile(
  known: AwsProfiles,
  name: string,
  said: string,
  path: readonly string[],
): Reason | undefined {
  const settings = known.profiles.get(name)
  if (settings === undefined) return explainAbsence(known, name, path.at(-1))
  const profile = `the profile "${name}"`
  const has = (key: string) => settings.has(key)
  const isSilent = nothing.test(said)
  const source = settings.get('source_profile')
  const file = settings.get('web_identity_token_file')
  const session = settings.get('sso_session')

  if (has('aws_access_key_id') !== has('aws_secret_access_key')) {
    const [one, other] = ['aws_access_key_id', 'aws_secret_access_key']
    return {
      why: `${profile} has only one of ${one} and ${other}`,
      remedy: `Give it both: \`aws configure --profile ${name}\`.`,
    }
  }
  if (has('aws_access_key_id') && (path.length > 0 || !has('role_arn'))) return undefined
  if (source !== undefined && has('role_arn')) {
    if (path.includes(source))
      return {
        why: `the profiles ${[...path, name, source].map(name => `"${name}"`).join(', ')} are each other's source_profile`,
        remedy: 'Let one of them have credentials of its own.',
      }
    return explainProfile(known, source, said, [...path, name])
  }
  if (file !== undefined) return explainTokenFile(file, `web_identity_token_file of ${profile}`)
  if (session !== undefined && !known.ssoSessions.includes(session))
    return {
      why: `${profile} names the sso_session "${session}", and there is no [sso-session ${session}]`,
      remedy: `Correct the name, or make it: \`aws configure sso --profile ${name}\`.`,
    }
  if ((session !== undefined || has('sso_start_url')) && /sso login/i.test(said))
    return {
      why: `the SSO session of ${profile} has ended, or never began: ${said.replace(/\.$/, '')}`,
      remedy: `Sign in: \`aws sso login --profile ${name}\`.`,
    }
  if (has('login_session') && /token|session/i.test(said))
    return {
      why: `the login of ${profile} has ended, or never began: ${said}`,
      remedy: `Sign in: \`aws login --profile ${name}\`.`,
    }
  if (!isSilent) return undefined
  if (has('credential_process'))
    return {
      why: `the credential_process of ${profile} failed, or gave no credentials`,
      remedy: `Run that program by hand: it has to print { "Version": 1, "AccessKeyId": …, "SecretAccessKey": … } and to end with 0.`,
    }
  if (has('role_arn')) return explainRole(profile, settings.get('credential_source'))
  const others = [...known.profiles.keys()].filter(other => other !== name).sort()
  const choice = others.length === 0 ? '' : ` Or choose another by AWS_PROFILE: ${others.join(', ')}.`
  return {
    why: `${profile} has no credentials, ${settings.size === 0 ? 'nothing is in it' : `only ${[...settings.keys()].join(', ')}`}`,
    remedy: `Give it some: ${makeProfile(name)}.${choice}`,
  }
}

function makeProfile(name: string): string {
  return `\`aws configure sso --profile ${name}\` or \`aws configure --profile ${name}\``
}

function explainAbsence(known: AwsProfiles, name: string, from: string | undefined): Reason {
  const named = from === undefined ? '' : `the source_profile of "${from}" is missing: `
  const remedies = [
    from === undefined
      ? `Correct the name of the profile (AWS_PROFILE), or make it: ${makeProfile(name)}.`
      : `Correct source_profile, or make the profile: \`aws configure --profile ${name}\`.`,
    ...(known.unmarked.includes(name)
      ? [`The section [${name}] of the first file is no profile there until it is called [profile ${name}].`]
      : []),
    ...(readVariable('AWS_ACCESS_KEY_ID') !== undefined
      ? ['AWS_ACCESS_KEY_ID is set too, and is not looked at while AWS_PROFILE is set.']
      : []),
  ]
  return { why: `${named}${describeAbsence(known, name)}`, remedy: remedies.join(' ') }
}

function describeAbsence({ files, profiles }: AwsProfiles, name: string): string {
  const places = files.map(({ path, problem }) =>
    problem === undefined ? path : `${path} (${problem === 'ENOENT' ? 'not there' : problem})`,
  )
  const names = [...profiles.keys()].sort()
  const others = names.length === 0 ? 'and no other' : `where there are ${names.join(', ')}`
  return `there is no profile "${name}" in ${places.join(' or ')}, ${others}`
}

function explainRole(profile: string, source: string | undefined): Reason {
  const assumes = `${profile} assumes its role`
  if (source === 'Environment')
    return {
      why: `${assumes} with the credentials of the environment, which has none`,
      remedy: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
    }
  if (source === 'EcsContainer' || source === 'Ec2InstanceMetadata')
    return {
      why: `${assumes} with the credentials of ${source}, which does not answer`,
      remedy: 'Use this profile where it does, or give another one.',
    }
  return {
    why: `${profile} has a role_arn, and neither a source_profile nor a credential_source to assume it with`,
    remedy: 'Give it one of the two.',
  }
}

/** What variables say, where no profile is chosen. */
function explainEnvironment(said: string): Reason | undefined {
  const pair = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] as const
  const missing = pair.filter(name => readVariable(name) === undefined)
  if (missing.length === 1)
    return {
      why: `${pair.find(name => name !== missing[0])} is set, and ${missing[0]} is not`,
      remedy: 'Set both, and AWS_SESSION_TOKEN where the credentials are temporary.',
    }
  const file = readVariable('AWS_WEB_IDENTITY_TOKEN_FILE')
  if (file !== undefined && readVariable('AWS_ROLE_ARN') === undefined)
    return { why: 'AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not', remedy: 'Set both.' }
  const unreadable = file === undefined ? undefined : explainTokenFile(file, 'AWS_WEB_IDENTITY_TOKEN_FILE')
  if (unreadable !== undefined || !nothing.test(said)) return unreadable
  const container = ['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', 'AWS_CONTAINER_CREDENTIALS_FULL_URI'].find(
    name => readVariable(name) !== undefined,
  )
  if (container === undefined) return undefined
  return {
    why: `the address in ${container} gives no credentials`,
    remedy: 'Check that the task or the pod has a role, and that this process may reach the address.',
  }
}

function explainTokenFile(path: string, where: string): Reason | undefined {
  try {
    accessSync(path)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return {
      why: `the file ${path} of ${where} cannot be read (${code})`,
      remedy: 'Check the path, and that the service account or the runner puts its token there.',
    }
  }
}
