import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { readVariable } from '../options/environment.ts'

/** One of the two files that profiles are in. */
export interface ProfileFile {
  readonly path: string
  /** Why it could not be read, for example `ENOENT`; `undefined` where it was. */
  readonly problem: string | undefined
}

/** What the files say, but no value that could be a secret is shown to anybody. */
export interface AwsProfiles {
  readonly files: readonly ProfileFile[]
  /** The profiles' settings, by the names of profiles. */
  readonly profiles: ReadonlyMap<string, Settings>
  /** The names of the sections `sso-session`. */
  readonly ssoSessions: readonly string[]
  /** Sections of the configuration that are no profile, because they lack the word: `[dev]`. */
  readonly unmarked: readonly string[]
}

type Settings = ReadonlyMap<string, string>

/**
 * Reads the names of AWS profiles where the SDK reads them, and what each is made of.
 *
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 */
export function readAwsProfiles(): AwsProfiles {
  const config = readSections('config', readVariable('AWS_CONFIG_FILE'))
  const credentials = readSections('credentials', readVariable('AWS_SHARED_CREDENTIALS_FILE'))
  const profiles = new Map<string, Map<string, string>>()
  const add = (name: string, settings: Settings): void => {
    profiles.set(name, new Map([...(profiles.get(name) ?? []), ...settings]))
  }
  const ssoSessions: string[] = []
  const unmarked: string[] = []
  for (const [section, settings] of config.sections) {
    const [, kind, name = section] = /^(profile|sso-session|services)\s+["']?(.*?)["']?$/.exec(section) ?? []
    if (kind === 'sso-session') ssoSessions.push(name)
    else if (kind === 'profile' || section === 'default') add(name, settings)
    else if (kind === undefined) unmarked.push(section)
  }
  for (const [section, settings] of credentials.sections) add(section, settings)
  return { files: [config.file, credentials.file], profiles, ssoSessions, unmarked }
}

/** @param given Its path, where it is not the file of that name in the user's home. */
function readSections(
  name: string,
  given: string | undefined,
): {
  readonly file: ProfileFile
  readonly sections: ReadonlyMap<string, Settings>
} {
  const sections = new Map<string, Map<string, string>>()
  let path = given ?? `~/.aws/${name}`
  let text: string
  try {
    // A user of a container may have no home, of which Node.js throws.
    path = given ?? join(homedir(), '.aws', name)
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    const problem = code === 'ERR_SYSTEM_ERROR' ? 'this user has no home' : code
    return { file: { path, problem }, sections }
  }
  let current = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[([^\]]+)\]/.exec(line)?.[1]?.trim()
    // An indented line belongs to a setting with parts, none of which is of interest here.
    const [, key, value] = /^([^\s#;=]+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (section !== undefined) {
      current = sections.get(section) ?? new Map()
      sections.set(section, current)
    } else if (key !== undefined && value !== undefined) current.set(key.toLowerCase(), value)
  }
  return { file: { path, problem: undefined }, sections }
}
