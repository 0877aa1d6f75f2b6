// npm run test:servers: the tests that need a server, on each server that Amazon RDS has and that can be had
// here: behind the gateway, and where the server can ask for tokens by itself, without it. Prints what holds on
// which of them. Exit 1 where a test failed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { readArguments } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { NotInstalled } from '../kit/src/database/not-installed.ts'
import { ownLogins, tryOwnLogin } from '../local/plugins/own-login.ts'
import { catalogue, chooseServers, defaultFolder, type FoundServer } from '../local/servers/catalogue.ts'
import { fetchServers } from '../local/servers/fetch.ts'
import { root } from '../local/template.ts'
import type { Result } from '../test/support/results-reporter.ts'
import { printPromises, type Run } from './server-table.ts'
import { findOwnLoginTests, findServerTests } from './server-tests.ts'

const help = `npm run test:servers -- [NAME …] [--folder DIR]

NAME      ${catalogue.map(({ name }) => name).join(', ')}; without any, all of them.
--folder  Where \`npm run servers\` keeps them. Without it, .local/servers of the checkout.

A server that can ask for tokens by itself, by a plugin or by PAM, is tested once more without the gateway.
That needs a C compiler, and PAM needs root.
`

/** Two of them at a time, one of each protocol: most tests that need a server need both. */
function pair(servers: readonly FoundServer[]): FoundServer[][] {
  const postgres = servers.filter(({ kind }) => kind === 'postgres')
  const others = servers.filter(({ kind }) => kind !== 'postgres')
  return Array.from({ length: Math.max(postgres.length, others.length) }, (_, index) =>
    [postgres[index], others[index]].filter(server => server !== undefined),
  )
}

/** How long the tests may take on two servers; it ends a file of tests that goes on for ever, too. */
const limitMs = 15 * 60_000

async function test(servers: readonly FoundServer[], folder: string, hasOwnLogin = false): Promise<Run> {
  const titles = servers.map(({ title, kind }) => (hasOwnLogin ? `${title} by ${ownLogins[kind]}` : title))
  const title = titles.join(', ')
  console.log(`\n== ${title}`)
  const startedMs = Date.now()
  const files = hasOwnLogin ? findOwnLoginTests(servers) : findServerTests(servers)
  const flags = ['--test', '--test-concurrency=4', '--test-timeout=600000']
  const reporter = `--test-reporter=${resolve(root, 'test/support/results-reporter.ts')}`
  const child = spawn(process.execPath, [...process.execArgv, ...flags, reporter, ...files], {
    cwd: root,
    env: {
      ...process.env,
      TEST_SERVERS: servers.map(({ name }) => name).join(),
      TEST_SERVERS_FOLDER: folder,
      TEST_OWN_LOGIN: hasOwnLogin ? '1' : '',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: limitMs,
  })
  const ended = once(child, 'close')
  const results: Result[] = []
  const add = (result: Result) => {
    results.push(result)
    if (result.failed !== undefined) console.log(`✖ ${result.file}: ${result.name}\n  ${result.failed}`)
  }
  for await (const line of createInterface({ input: child.stdout })) add(JSON.parse(line))
  const [code, signal] = await ended
  const ownFailure = { file: 'scripts/test-servers.ts', name: 'the run' }
  if (child.killed) add({ ...ownFailure, failed: `it was ended after ${limitMs / 60_000} minutes` })
  else if (results.length === 0 || (code !== 0 && results.every(({ failed }) => failed === undefined)))
    add({ ...ownFailure, failed: `node --test ended with ${code ?? signal}, after ${results.length} tests` })
  const seconds = Math.round((Date.now() - startedMs) / 1000)
  const failed = results.filter(result => result.failed !== undefined).length
  console.log(`${results.length} tests, ${failed} failed, in ${seconds} s`)
  return { title, results }
}

/** The servers that can ask for tokens by themselves; and of the others, the reason. */
async function findOwnLogins(servers: readonly FoundServer[]) {
  const able = new Set<FoundServer>()
  const unable: string[] = []
  for (const server of servers) {
    try {
      await tryOwnLogin(server)
      able.add(server)
    } catch (error) {
      if (!(error instanceof NotInstalled)) throw error
      unable.push(`${server.name} by ${ownLogins[server.kind]}: ${error.message}`)
    }
  }
  return { able, unable }
}

async function run(args: readonly string[]): Promise<number> {
  const { values, words } = readArguments(args, { folder: { type: 'string' } }, { words: true })
  const folder = resolve(values.folder ?? defaultFolder)
  const { found, missing } = await fetchServers(chooseServers(words), folder)
  const { able, unable } = await findOwnLogins(found)
  const runs: Run[] = []
  for (const servers of pair(found)) {
    runs.push(await test(servers, folder))
    const own = servers.filter(server => able.has(server))
    if (own.length > 0) runs.push(await test(own, folder, true))
  }
  if (runs.length > 0) printPromises(runs)
  const untested = [...missing, ...unable]
  if (untested.length > 0) console.log(`\nNot tested:\n${untested.map(line => `- ${line}`).join('\n')}`)
  return runs.some(({ results }) => results.some(({ failed }) => failed !== undefined)) ? 1 : 0
}

await runProgram('npm run test:servers --', { help, run })
