// npm run test:servers: the tests that need a server, on each server that Amazon RDS has and that can be had
// here. Prints what holds on which of them. Exit 1 where a test failed.
import { resolve } from 'node:path'
import { readArguments } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { catalogue, chooseServers, defaultFolder, type FoundServer } from '../local/servers/catalogue.ts'
import { fetchServers } from '../local/servers/fetch.ts'
import { printPromises, type Run } from './server-table.ts'
import { findServerTests } from './server-tests.ts'
import { hasFailed, runTests } from './test-run.ts'

const help = `npm run test:servers -- [NAME …] [--folder DIR]

NAME      ${catalogue.map(({ name }) => name).join(', ')}; without any, all of them.
--folder  Where \`npm run servers\` keeps them. Without it, .local/servers of the checkout.
`

/** Two of them at a time, one of each protocol: most tests that need a server need both. */
function pair(servers: readonly FoundServer[]): FoundServer[][] {
  const postgres = servers.filter(({ kind }) => kind === 'postgres')
  const others = servers.filter(({ kind }) => kind !== 'postgres')
  return Array.from({ length: Math.max(postgres.length, others.length) }, (_, index) =>
    [postgres[index], others[index]].filter(server => server !== undefined),
  )
}

function test(servers: readonly FoundServer[], folder: string): Promise<Run> {
  return runTests({
    title: servers.map(server => server.title).join(', '),
    files: findServerTests(servers),
    script: 'scripts/test-servers.ts',
    env: { TEST_SERVERS: servers.map(({ name }) => name).join(), TEST_SERVERS_FOLDER: folder },
  })
}

async function run(args: readonly string[]): Promise<number> {
  const { values, words } = readArguments(args, { folder: { type: 'string' } }, { words: true })
  const folder = resolve(values.folder ?? defaultFolder)
  const { found, missing } = await fetchServers(chooseServers(words), folder)
  const runs: Run[] = []
  for (const servers of pair(found)) runs.push(await test(servers, folder))
  if (runs.length > 0) printPromises(runs)
  if (missing.length > 0) console.log(`\nNot tested:\n${missing.map(line => `- ${line}`).join('\n')}`)
  return hasFailed(runs) ? 1 : 0
}

await runProgram('npm run test:servers --', { help, run })
