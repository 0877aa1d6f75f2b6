// npm run servers: brings the servers that Amazon RDS has, and npm has not, into `.local/servers`. Exit 0
// also where one of them could not be had: the last lines say which, and why.
import { readArguments, UsageError } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { type CataloguedServer, catalogue, defaultFolder } from '../local/servers/catalogue.ts'
import { fetchServer } from '../local/servers/fetch.ts'

const names = catalogue.map(({ name }) => name).join(', ')

const help = `npm run servers -- [NAME …] [--folder DIR]

NAME      ${names}; without any, all of them.
--folder  Where they are kept. Without it, .local/servers of the checkout.
`

function chooseServer(word: string): CataloguedServer {
  const server = catalogue.find(({ name }) => name === word)
  if (server === undefined)
    throw new UsageError(`there is no server ${JSON.stringify(word)}; there are ${names}`)
  return server
}

async function run(args: readonly string[]): Promise<number> {
  const { values, words } = readArguments(args, { folder: { type: 'string' } }, { words: true })
  const missing: string[] = []
  for (const server of words.length === 0 ? catalogue : words.map(chooseServer)) {
    const fetched = await fetchServer(server, values.folder ?? defaultFolder)
    if ('reason' in fetched) missing.push(`${server.name} could not be had: ${fetched.reason}`)
    else console.log(`${server.name.padEnd(20)} ${fetched.title}`)
  }
  if (missing.length > 0) console.log(`\n${missing.join('\n')}`)
  return 0
}

await runProgram('npm run servers --', { help, run })
