import { RdsIamError } from 'middy-rds-iam'
import { NotInstalled } from '../database/not-installed.ts'
import { UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { makePrintable, paint } from './paint.ts'

/**
 * Runs a command: it explains itself where it is asked to, and the process ends with its status, with 2 where
 * the command line is wrong or something has to be installed, and with 1 for any other error.
 *
 * @param name How to call it, for `Try … --help`.
 */
export async function runProgram(
  name: string,
  command: Command,
  args: readonly string[] = process.argv.slice(2),
): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that has seen enough, `| head -1` for example, changes nothing of what was found.
    if (error.code === 'EPIPE') return
    printError(`the standard output cannot be written: ${error.message}`)
    process.exit(1)
  })
  try {
    // What stands behind -- is another program's.
    const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args
    if (own.includes('--help') || own.includes('-h')) process.stdout.write(command.help)
    else process.exitCode = await command.run(args)
  } catch (error) {
    const isUsage = error instanceof UsageError
    const isExpected = isUsage || error instanceof RdsIamError || error instanceof NotInstalled
    printError(isExpected ? error.message : String(error))
    if (isUsage) console.error(`Try ${name} --help.`)
    process.exitCode = isUsage || error instanceof NotInstalled ? 2 : 1
  }
}

function printError(message: string): void {
  console.error(`${paint('red', 'error', process.stderr)}: ${makePrintable(message)}`)
}
