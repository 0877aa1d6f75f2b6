import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { onExit } from '../kit/src/database/on-exit.ts'
import { root } from './template.ts'

/** After which a lock is nobody's any more: another process may have got the same id since. */
const longestBuildMs = 120_000
/** What `dist/` is made from, beside `src/` and the scripts that build it. */
const settings = ['package.json', 'tsconfig.json', 'tsconfig.build.json']

/**
 * Builds the package where a source is newer than `dist/`, from which functions that import it by name are
 * bundled: so what runs on this machine is what is published, and never an older one.
 *
 * @param project Its folder. @default the checkout
 * @throws What the build says, the compiler's complaints for example.
 */
export async function freshenPackage(project = root): Promise<void> {
  const lock = join(project, '.local', 'package.lock')
  // In this order: a build that is under way has written some files and not others.
  if (isFresh(project) && !existsSync(lock)) return
  const release = await acquireLock(lock)
  try {
    // Whoever had the lock before may have built it.
    if (!isFresh(project)) await build(project)
  } finally {
    release()
  }
}

function isFresh(project: string): boolean {
  const builtMs = statSync(join(project, 'dist', 'index.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0
  return [...settings, ...sources(project)].every(path => statSync(join(project, path)).mtimeMs < builtMs)
}

/** Files and folders; a folder is newer when a file was added, renamed or removed. */
function sources(project: string): readonly string[] {
  return ['src', 'scripts'].flatMap(folder => {
    const below = readdirSync(join(project, folder), { recursive: true, encoding: 'utf8' })
    const paths = [folder, ...below.map(path => join(folder, path))]
    // The sample is no part of the package.
    return paths.filter(path => !path.startsWith(join('src', 'sample')))
  })
}

async function build(project: string): Promise<void> {
  const building = promisify(execFile)('npm', ['run', 'build'], { cwd: project })
  const forget = onExit(() => building.child.kill('SIGKILL'))
  await building
    .catch(({ stdout, stderr }: { stdout: string; stderr: string }) => {
      throw new Error(`dist/ is older than src/, and cannot be built:\n${stdout}${stderr}`)
    })
    .finally(forget)
}

/** Several processes may want it at once: `npm test` has one for each file. @returns Gives it back. */
async function acquireLock(lock: string): Promise<() => void> {
  mkdirSync(dirname(lock), { recursive: true })
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      removeDeadLock(lock)
      await setTimeout(50)
    }
  }
  const remove = () => rmSync(lock, { force: true })
  const forget = onExit(remove)
  return () => {
    forget()
    remove()
  }
}

/** A process that was killed leaves its lock behind. */
function removeDeadLock(lock: string): void {
  try {
    const isOld = Date.now() - statSync(lock).mtimeMs > longestBuildMs
    const pid = Number(readFileSync(lock, 'utf8'))
    if (isOld) rmSync(lock, { force: true })
    // Signal 0 is none: it throws where there is no such process.
    else if (pid > 0) process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') rmSync(lock, { force: true })
  }
}
