import { type ParseArgsConfig, type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { type EngineName, engineNames } from '../local/stack.ts'

type Parsed<Options extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: Options; allowPositionals: true }>
>

/**
 * Reads the arguments of a script. Asked for `--help`, it prints the usage and ends; so it does with exit code 2 where an argument is wrong.
 *
 * @param read Makes what the script needs of them; what it throws is printed with the usage.
 */
export function readArguments<Options extends ParseArgsOptionsConfig, Result>(
  usage: string,
  options: Options,
  read: (parsed: Parsed<Options>) => Result,
): Result {
  try {
    const config = { options: { ...options, help: { type: 'boolean' } }, allowPositionals: true }
    const parsed = parseArgs(config as ParseArgsConfig)
    if ((parsed.values as { help?: boolean }).help) {
      console.log(usage)
      process.exit(0)
    }
    return read(parsed as Parsed<Options>)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`)
    process.exit(2)
  }
}

/** @throws where it is not the name of an engine. */
export function readEngine(name: string): EngineName {
  const engine = engineNames.find(engine => engine === name)
  if (engine === undefined)
    throw new Error(`Expected --engine to be ${engineNames.join(' or ')}, got ${name}`)
  return engine
}

/** @throws where there are any: a flag that lost its dashes would be ignored otherwise. */
export function refusePositionals(positionals: readonly string[]): void {
  if (positionals.length > 0) throw new Error(`Expected no argument but flags, got ${positionals.join(' ')}`)
}
