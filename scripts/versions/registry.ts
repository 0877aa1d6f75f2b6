import { execFileSync } from 'node:child_process'
import { readManifest, root } from '../packages.ts'

const manifest = readManifest(root)

/** The peers, each with the range that is promised: `{ pg: '^8.21.0', … }`. */
export const peers = manifest.peerDependencies as Readonly<Record<string, string>>

/** The registry does not give something; the message says why, in one line. */
export class Unavailable extends Error {}

/** Runs npm. @throws {Unavailable} */
export function runNpm(args: readonly string[], cwd: string = root): string {
  try {
    return execFileSync('npm', [...args, '--fetch-retries=1'], { cwd, encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    const { stderr = '', message } = error as { readonly stderr?: string; readonly message: string }
    const lines = stderr.split('\n').filter(line => /^npm error (?!code |errno |A complete log)/.test(line))
    const reason = (lines[0] ?? message.split('\n')[0] ?? '').replace(/^npm error (404 )?/, '')
    throw new Unavailable(`npm ${args[0]}: ${reason}`, { cause: error })
  }
}

/** Node.js: the oldest that `engines` has, and the majors that Lambda runs. */
export const node = {
  oldest: oldestOf((manifest.engines as { readonly node: string }).node),
  majors: [22, 24],
} as const

/** The oldest version of a range, which is one of `^8.21.0` and `>=22.3`: all that this package has. */
export function oldestOf(range: string): string {
  const [, version, patch = '.0'] = /^(?:\^|>=)(\d+\.\d+)(\.\d+)?$/.exec(range) ?? []
  if (version === undefined) throw new Error(`package.json: expected ^1.2.3 or >=1.2, got ${range}`)
  return version + patch
}

const numbersOf = (version: string) => version.split('.').map(Number)

export function compareVersions(one: string, other: string): number {
  const [ones, others] = [numbersOf(one), numbersOf(other)]
  const index = ones.findIndex((number, place) => number !== others[place])
  return index < 0 ? 0 : (ones[index] ?? 0) - (others[index] ?? 0)
}

/**
 * The releases of a package that are no previews, from the oldest to the newest.
 *
 * @throws {Unavailable} Where the registry does not tell.
 */
function readVersions(name: string): readonly string[] {
  const versions: string[] = JSON.parse(runNpm(['view', name, 'versions', '--json']))
  return versions.filter(version => /^\d+\.\d+\.\d+$/.test(version)).sort(compareVersions)
}

/** What is asked for: from this version on, and of these majors. */
interface Wanted {
  readonly oldest: string
  readonly majors: readonly number[]
}

/** The oldest version that is promised, then the newest one of each minor. */
export function readMinors(name: string, { oldest, majors }: Wanted): readonly string[] {
  const versions = readVersions(name).filter(
    version => majors.includes(numbersOf(version)[0] ?? 0) && compareVersions(version, oldest) >= 0,
  )
  const newest = new Map(versions.map(version => [numbersOf(version).slice(0, 2).join('.'), version]))
  return [...new Set([oldest, ...newest.values()])]
}
