import { spawn } from 'node:child_process'
import { once } from 'node:events'

// For what takes seconds; five servers are waited for in turn, where nobody answers.
const defaultLimitMs = 120_000

/** What Debian calls the packages that have these programs. */
const packages: Readonly<Record<string, string>> = {
  mvn: 'maven',
  'apt-get': 'apt',
  'dpkg-deb': 'dpkg',
  cc: 'gcc libc6-dev',
}

/**
 * Runs a program to its end, or for as long as it may.
 *
 * @param limitMs How long that is.
 * @throws {Error} With its last words where it fails, or with what to install where it is not there.
 */
export async function runChild(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  limitMs = defaultLimitMs,
): Promise<void> {
  const child = spawn(program, args, {
    env: { ...process.env, LC_ALL: 'C', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Its timer keeps no process from ending, unlike that of the option `timeout` where there is no such program.
    signal: AbortSignal.timeout(limitMs),
    // It may be one that does not listen any more.
    killSignal: 'SIGKILL',
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', text => (said += text))
  const [code] = await once(child, 'close').catch((error: NodeJS.ErrnoException) => {
    // What it started may hold them open, and this process with them.
    for (const stream of [child.stdout, child.stderr]) stream.destroy()
    if (error.name === 'AbortError') throw new Error(`${program} was ended after ${limitMs / 1000} s`)
    if (error.code !== 'ENOENT') throw error
    throw new Error(`${program} is not there; on Debian: apt-get install ${packages[program] ?? program}`)
  })
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${lastWords(said)}`)
}

/** The line that says what is wrong: the last one of errors, else the last one. */
function lastWords(said: string): string {
  const lines = said.split('\n').filter(line => line.trim() !== '')
  return (
    lines.findLast(line => /^(\[ERROR\] |E: |.*error: )/i.test(line)) ??
    lines.at(-1) ??
    'without a word'
  ).trim()
}
