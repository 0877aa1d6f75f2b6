// npm run test:docs: does what the pages say, to the letter, in a folder that is empty at first, with both
// packages as they are published. Exit 1 where a command fails or prints something else.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { readArguments } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { onExit } from '../kit/src/database/on-exit.ts'
import { startRegistry } from '../local/registry.ts'
import { packageFolders, packPackage, publishedManifest, readManifest, root } from './packages.ts'
import { type PageStep, readSteps } from './page-steps.ts'

const help = `npm run test:docs

Runs the commands of the pages that are marked with <!-- run --> or <!-- start -->, one page after the other,
as somebody who reads on. They need no AWS account; the port 6432 has to be free.
`

/** README first: it installs what the others need. */
const pages = ['README.md', 'kit/README.md', ...globSync('docs/**/*.md', { cwd: root }).sort()]

async function run(args: readonly string[]): Promise<number> {
  readArguments(args, {})
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-docs-'))
  const forget = onExit(() => rmSync(folder, { recursive: true, force: true }))
  const packed = packageFolders.map(path => ({
    manifest: publishedManifest(readManifest(path)),
    tarball: packPackage(path, folder),
  }))
  const upstream = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()
  const registry = await startRegistry(packed, upstream)
  const project = mkdtempSync(join(folder, 'project-'))
  const failed: string[] = []
  try {
    for (const page of pages) {
      const steps = readSteps(readFileSync(join(root, page), 'utf8'))
      if (steps.every(({ kind }) => kind === 'file')) continue
      const startedMs = Date.now()
      const problem = await follow(steps, project, registry.url)
      console.log(`${problem === undefined ? 'done' : 'FAILED'}: ${page}, ${Date.now() - startedMs} ms\n`)
      if (problem === undefined) continue
      console.log(problem)
      failed.push(page)
    }
  } finally {
    registry.close()
    rmSync(folder, { recursive: true, force: true })
    forget()
  }
  return failed.length === 0 ? 0 : 1
}

/** @returns What went wrong, if anything did. */
async function follow(
  steps: readonly PageStep[],
  cwd: string,
  registry: string,
): Promise<string | undefined> {
  const started: (() => Promise<void>)[] = []
  const env = environment(registry)
  try {
    for (const step of steps) {
      if (step.kind === 'file') {
        writeFileSync(join(cwd, step.name), step.text)
        continue
      }
      console.log(step.command.replaceAll(/^/gm, '  ').trimEnd())
      if (step.kind === 'start') {
        started.push(await startShell(step.command, cwd, env))
        continue
      }
      const { status, stdout } = await runShell(step.command, cwd, env)
      process.stdout.write(stdout)
      if (status !== 0) return `It ended with ${status}`
      if (step.prints !== undefined && stdout.trim() !== step.prints) return `It was to print ${step.prints}`
    }
    return undefined
  } finally {
    for (const stop of started) await stop()
  }
}

/** Not `spawnSync`: the registry, in this process, answers meanwhile. */
async function runShell(command: string, cwd: string, env: NodeJS.ProcessEnv) {
  const child = spawn('sh', ['-e', '-c', command], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const forget = onExit(() => child.kill('SIGKILL'))
  const [stdout, [status]] = await Promise.all([text(child.stdout), once(child, 'close')])
  forget()
  return { status: status as number | null, stdout }
}

/** Starts a command that goes on. @returns Ends it as Ctrl-C does, once it has printed a line. */
async function startShell(
  command: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<() => Promise<void>> {
  // A group of its own, as in a terminal: npx and what it starts end together.
  const child = spawn('sh', ['-e', '-c', command], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { pid = 0 } = child
  const ended = once(child, 'exit')
  const forget = onExit(() => child.exitCode === null && process.kill(-pid, 'SIGKILL'))
  const isReady = await Promise.race([
    once(createInterface(child.stdout), 'line').then(() => true),
    ended.then(() => false),
  ])
  if (!isReady) throw new Error(`It ended before it was ready: ${command}`)
  return async () => {
    if (child.exitCode === null) process.kill(-pid, 'SIGINT')
    await ended
    forget()
  }
}

/** Nothing of npm's own, which runs this script, and nothing of AWS. */
function environment(registry: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|AWS_|PG|MYSQL_|NODE_OPTIONS$)/i.test(name),
  )
  const settings = { registry, audit: 'false', fund: 'false', update_notifier: 'false' }
  const npm = Object.entries(settings).map(([name, value]) => [`npm_config_${name}`, value] as const)
  return Object.fromEntries([...own, ...npm])
}

await runProgram('npm run test:docs --', { help, run })
