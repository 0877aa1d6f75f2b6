import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UsageError } from './arguments.ts'

/**
 * Finds the folder in which a project keeps what its gateways need at the next start, too: `.rds-iam` beside
 * the nearest `package.json`, else where the process stands. `node_modules` is not in every project, and gone
 * with the next `npm ci`.
 */
export function findProjectFolder(): string {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return join(folder, '.rds-iam')
    if (folder === dirname(folder)) return join(process.cwd(), '.rds-iam')
  }
}

/**
 * Makes a folder for the user alone, which git passes over.
 *
 * @throws {UsageError} Where it cannot be made, or where somebody else could put an authority into it for
 * clients to trust, or an environment for a shell to read.
 */
export function makeFolder(folder: string): void {
  orRefuse(folder, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    refuseOpen(folder)
    const ignore = join(folder, '.gitignore')
    if (!existsSync(ignore)) writeWhole(ignore, '*\n', 0o644)
  })
}

function refuseOpen(folder: string): void {
  // On Windows, modes say nothing.
  if (process.getuid === undefined) return
  const { uid, mode } = statSync(folder)
  if ((mode & 0o022) !== 0) throw new Error('others may write to it')
  // Whoever has the folder around it could replace it anyway: root in a container works in a user's project.
  if (![process.getuid(), statSync(dirname(folder)).uid].includes(uid))
    throw new Error('it belongs to another user')
}

/** Writes a file in one step, so that nobody ever reads half of it. */
export function writeWhole(path: string, text: string, mode: number): void {
  const beside = writeBeside(path, text, mode)
  renameSync(beside, path)
}

/** Writes a file of another name. @returns Its path. */
export function writeBeside(path: string, text: string, mode: number): string {
  const beside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(beside, text, { mode, flag: 'wx' })
  } catch (error) {
    rmSync(beside, { force: true })
    throw error
  }
  return beside
}

/** Says what is wrong with a file or a folder as the command line's other mistakes are told. */
export function orRefuse<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new UsageError(`${path} cannot be used: ${reason}. Give it back to this user, or remove it`)
  }
}
