/** Environment variables as commands for a shell; an empty one is unset. */
export function formatVariables(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => (value === '' ? `unset ${name}\n` : `export ${name}=${quoteForShell(value)}\n`))
    .join('')
}

/** A text as one word of a POSIX shell's, whatever is in it. */
export function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
