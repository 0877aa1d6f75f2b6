// npm run test:servers: the tests that need a server, on each server that Amazon RDS has and that can be had
// here: behind the gateway, and where the server can ask for tokens by itself, without it. Prints what holds on
// which of them. Exit 1 where a test failed.
import { resolve } from 'node:path'
import { readArguments } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { NotInstalled } from '../kit/src/database/not-installed.ts'
import { ownLogins, tryOwnLogin } from '../local/plugins/own-login.ts'
import { catalogue, chooseServers, defaultFolder, type FoundServer } from '../local/servers/catalogue.ts'
import { fetchServers } from '../local/servers/fetch.ts'
import { printPromises, type Run } from './server-table.ts'
import { findOwnLoginTests, findServerTests } from './server-tests.ts'
import { hasFailed, runTests } from './test-run.ts'

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

function test(servers: readonly FoundServer[], folder: string, hasOwnLogin = false): Promise<Run> {
  const titles = servers.map(({ title, kind }) => (hasOwnLogin ? `${title} by ${ownLogins[kind]}` : title))
  return runTests({
    title: titles.join(', '),
    files: hasOwnLogin ? findOwnLoginTests(servers) : findServerTests(servers),
    script: 'scripts/test-servers.ts',
    env: {
      TEST_SERVERS: servers.map(({ name }) => name).join(),
      TEST_SERVERS_FOLDER: folder,
      TEST_OWN_LOGIN: hasOwnLogin ? '1' : '',
    },
  })
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
  return hasFailed(runs) ? 1 : 0
}

await runProgram('npm run test:servers --', { help, run })
