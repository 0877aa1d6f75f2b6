// npm run servers: brings the servers that Amazon RDS has, and npm has not, into `.local/servers`. Exit 0
// also where one of them could not be had: the last lines say which, and why.
import { resolve } from 'node:path'
import { readArguments } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { catalogue, chooseServers, defaultFolder } from '../local/servers/catalogue.ts'
import { fetchServers } from '../local/servers/fetch.ts'

const names = catalogue.map(({ name }) => name).join(', ')

const help = `npm run servers -- [NAME …] [--folder DIR]

NAME      ${names}; without any, all of them.
--folder  Where they are kept. Without it, .local/servers of the checkout.
`

async function run(args: readonly string[]): Promise<number> {
  const { values, words } = readArguments(args, { folder: { type: 'string' } }, { words: true })
  const { missing } = await fetchServers(chooseServers(words), resolve(values.folder ?? defaultFolder))
  if (missing.length > 0) console.log(`\n${missing.join('\n')}`)
  return 0
}

await runProgram('npm run servers --', { help, run })
