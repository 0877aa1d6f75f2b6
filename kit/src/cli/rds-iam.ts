#!/usr/bin/env node
import { createRequire } from 'node:module'
import { UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { runProgram } from './program.ts'

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
  ca: {
    summary: 'print the certificate authorities of a Region',
    load: async () => (await import('./ca.ts')).ca,
  },
  exec: {
    summary: 'run a command that finds the database and a token in its environment',
    load: async () => (await import('./exec.ts')).exec,
  },
  diagnose: {
    summary: 'go the whole way to a database and say where it breaks',
    load: async () => (await import('./diagnose.ts')).diagnose,
  },
  proxy: {
    summary: 'give every tool a local port that leads to RDS by IAM',
    load: async () => (await import('./proxy.ts')).proxy,
  },
  dev: {
    summary: 'run a database of its own for development, behind the gateway',
    load: async () => (await import('./dev.ts')).dev,
  },
  gateway: {
    summary: 'authenticate as RDS does, in front of a database that is there',
    load: async () => (await import('./gateway.ts')).gateway,
  },
}

const help = `rds-iam: IAM database authentication for Amazon RDS and Aurora.

  rds-iam <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`)
  .join('\n')}

  --help     of each command, too
  --version

It ends with 0 where all is well, 1 where something is wrong with what was asked about, and 2 where the command line is wrong or
something has to be installed; exec ends as its command does.
`

/** What there is without a command. */
const program: Command = {
  help,
  async run([name = '']) {
    if (name === '--version') {
      process.stdout.write(`${readVersion()}\n`)
      return 0
    }
    if (name === '') throw new UsageError('a command is needed')
    throw new UsageError(`there is no command ${JSON.stringify(name)}`)
  },
}

/** By the package's own name, because a build may put this file into another folder. */
function readVersion(): string {
  return createRequire(import.meta.url)('rds-iam-kit/package.json').version
}

const [name = '', ...args] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (command === undefined) await runProgram('rds-iam', program, name === '' ? [] : [name])
else await runProgram(`rds-iam ${name}`, await command.load(), args)
