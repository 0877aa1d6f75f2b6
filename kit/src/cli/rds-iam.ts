#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { RdsIamError } from 'middy-rds-iam'
import { type Command, UsageError } from './command.ts'
import { paint } from './paint.ts'

/** Each in a file of its own, which is loaded when it is asked for. */
const commands: Readonly<Record<string, { readonly summary: string; load(): Promise<Command> }>> = {
  policy: {
    summary: 'print the IAM policy that lets a role connect',
    load: async () => (await import('./policy.ts')).policy,
  },
  check: {
    summary: 'explain what is wrong with the IAM policies of a role',
    load: async () => (await import('./check.ts')).check,
  },
  users: {
    summary: 'print the SQL that creates or drops a database user',
    load: async () => (await import('./users.ts')).users,
  },
  token: {
    summary: 'print an authentication token',
    load: async () => (await import('./token.ts')).token,
  },
  diagnose: {
    summary: 'go the whole way to a database and say where it breaks',
    load: async () => (await import('./diagnose.ts')).diagnose,
  },
}

const help = `middy-rds-iam: IAM database authentication for Amazon RDS and Aurora.

  middy-rds-iam <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`)
  .join('\n')}

  --help     of each command, too
  --version

It ends with 0 where all is well, 1 where something is wrong with what was asked about, and 2 where the command line is wrong.
`

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined) throw new UsageError('a command is needed')
  if (name === '--help' || name === '-h') {
    process.stdout.write(help)
    return 0
  }
  if (name === '--version') {
    process.stdout.write(`${readVersion()}\n`)
    return 0
  }
  const command = Object.hasOwn(commands, name) ? await commands[name]?.load() : undefined
  if (command === undefined) throw new UsageError(`there is no command ${JSON.stringify(name)}`)
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(command.help)
    return 0
  }
  return command.run(args)
}

function readVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}

/** The command that was asked for, for `Try … --help`. */
function nameOfCommand(): string {
  const [name = ''] = process.argv.slice(2)
  return Object.hasOwn(commands, name) ? `middy-rds-iam ${name}` : 'middy-rds-iam'
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that has seen enough, `| head -1` for example, changes nothing of what was found.
  if (error.code === 'EPIPE') return
  console.error(
    `${paint('red', 'error', process.stderr)}: the standard output cannot be written: ${error.message}`,
  )
  process.exit(1)
})

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const isUsage = error instanceof UsageError
  const isExpected = isUsage || error instanceof RdsIamError
  console.error(`${paint('red', 'error', process.stderr)}: ${isExpected ? error.message : String(error)}`)
  if (isUsage) console.error(`Try ${nameOfCommand()} --help.`)
  process.exitCode = isUsage ? 2 : 1
}
