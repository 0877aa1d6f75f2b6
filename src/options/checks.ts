import { RdsIamError } from '../errors/rds-iam-error.ts'
import { hostProblem } from '../identifiers/endpoint.ts'

/**
 * Collects what is wrong with the options, so that one error can name all of it.
 *
 * @example
 * ```ts
 * const checks: Checks = createChecks()
 * const { engine, limit } = checks.object('options', { limit: 5 }, '{ engine, limit }') ?? {}
 * const name = checks.oneOf('engine', engine, ['postgres', 'mysql'], 'postgres')
 * const number = checks.integer('limit', limit, { fallback: 10, min: 1 })
 * refuseProblems('startServer', checks.problems)
 * ```
 */
export interface Checks {
  /** What was complained of so far, each as a sentence that begins with the name. */
  readonly problems: readonly string[]
  /** Notes a problem of the option or variable `name`: a clause such as `is missing`. */
  complain(name: string, problem: string): void
  /** A text with something in it and no spaces around it; nothing where none is given. */
  text(name: string, value: unknown): string | undefined
  /** A port from an option, or from the text of an environment variable. */
  port(name: string, value: unknown): number | undefined
  /** A host name in lower case, or an IP address. */
  host(name: string, value: unknown): string | undefined
  /** `max` is left out where there is no limit but that of whole numbers. */
  integer(
    name: string,
    value: unknown,
    range: { fallback: number; min: number; max?: number; or?: string },
  ): number
  /** `true` or `false`; the fallback where nothing is given. */
  boolean(name: string, value: unknown, fallback: boolean): boolean
  /** A function, whatever it takes; nothing where none is given. */
  function<F>(name: string, value: F | undefined): F | undefined
  /** A plain object, or nothing in place of anything else. */
  object(name: string, value: unknown, form: string): Readonly<Record<string, unknown>> | undefined
  /** A list, whatever is in it; empty in place of anything else. */
  list(name: string, value: unknown): readonly unknown[]
  /** One of some texts; the fallback where nothing is given. */
  oneOf<const C extends string>(name: string, value: unknown, choices: readonly C[], fallback: C): C
  /** A text that is needed, and never shown; empty in place of anything else. */
  secret(name: string, value: unknown): string
  /**
   * Complains of every name in `given` that is no option.
   *
   * @param place What stands before a name: `tls.` for example.
   * @param instead What to do in place of giving the option of this name.
   */
  known(
    given: object,
    options: readonly string[],
    place?: string,
    instead?: (name: string) => string | undefined,
  ): void
}

/**
 * Begins to check options: nothing is wrong yet.
 *
 * @example
 * ```ts
 * const checks = createChecks()
 * checks.port('port', 70_000)
 * console.log(checks.problems[0]) // `port` is not a port, a whole number from 1 to 65535; got 70000 (number)
 * ```
 */
export function createChecks(): Checks {
  const problems: string[] = []
  const complain = (name: string, problem: string) => void problems.push(`\`${name}\` ${problem}`)
  const text = (name: string, value: unknown): string | undefined => {
    if (value === undefined) return undefined
    const isClean =
      typeof value === 'string' &&
      value !== '' &&
      value.trim() === value &&
      !value.includes('\0') &&
      // Half a surrogate pair has no UTF-8, so that nothing could be signed or sent with it.
      value.isWellFormed()
    if (isClean) return value
    complain(name, `is not a text without spaces around it; got ${show(value)}`)
    return undefined
  }
  return {
    problems,
    complain,
    text,
    port(name, value) {
      if (value === undefined) return undefined
      const port = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value
      if (typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535) return port
      complain(name, `is not a port, a whole number from 1 to 65535; got ${show(value)}`)
      return undefined
    },
    host(name, value) {
      const host = text(name, value)
      if (host === undefined) return undefined
      const problem = hostProblem(host)
      if (problem === undefined) return host.toLowerCase()
      complain(name, `${problem}; got ${show(value)}`)
      return undefined
    },
    integer(name, value, { fallback, min, max, or = '' }) {
      if (value === undefined) return fallback
      const limit = max ?? Number.MAX_SAFE_INTEGER
      if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= limit) return value
      const range = max === undefined ? `of at least ${min}` : `from ${min} to ${max}`
      complain(name, `is not a whole number ${range}${or}; got ${show(value)}`)
      return fallback
    },
    boolean(name, value, fallback) {
      if (value === undefined || typeof value === 'boolean') return value ?? fallback
      complain(name, `is neither true nor false; got ${show(value)}`)
      return fallback
    },
    function(name, value) {
      if (value !== undefined && typeof value !== 'function')
        complain(name, `is not a function; got a ${typeof value}`)
      return value
    },
    object(name, value, form) {
      if (value === undefined) return undefined
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        return value as Record<string, unknown>
      // A text in its place may be a secret.
      complain(name, `is not ${form}; got ${typeof value === 'string' ? 'a text' : show(value)}`)
      return undefined
    },
    list(name, value) {
      // A list with holes has something wrong in each of them, which is for the caller to say.
      if (Array.isArray(value)) return Array.from(value)
      if (value !== undefined) complain(name, `is not a list; got ${show(value)}`)
      return []
    },
    oneOf(name, value, choices, fallback) {
      const choice = value === undefined ? fallback : choices.find(choice => choice === value)
      if (choice === undefined)
        complain(name, `is not ${choices.map(choice => `'${choice}'`).join(' or ')}; got ${show(value)}`)
      return choice ?? fallback
    },
    secret(name, value) {
      if (typeof value === 'string' && value !== '') return value
      const kind = value === '' ? 'an empty one' : `a value of the type ${typeof value}`
      complain(name, value === undefined ? 'is missing' : `is not a text with something in it; got ${kind}`)
      return ''
    },
    known(given, options, place = '', instead = () => undefined) {
      for (const name of Object.keys(given).filter(name => !options.includes(name))) {
        const hint = instead(name)
        complain(`${place}${name}`, `is not an option${hint === undefined ? '' : `: ${hint}`}`)
      }
    },
  }
}

/**
 * Ends the reading of options, where something is wrong with them.
 *
 * @param place Whose options they are, for example `iamPg`.
 * @example refuseProblems('startServer', ['`port` is missing']) // throws: startServer: an option is wrong: …
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem.
 */
export function refuseProblems(place: string, problems: readonly string[]): void {
  if (problems.length === 0) return
  const summary = problems.length === 1 ? 'an option is wrong' : `${problems.length} options are wrong`
  throw new RdsIamError('RDS_IAM_OPTIONS', `${place}: ${summary}:\n- ${problems.join('\n- ')}`)
}

/**
 * What an option got, to end a message with; nothing where it got nothing.
 *
 * @example got(7) // '; got 7 (number)'
 */
export function got(value: unknown): string {
  return value === undefined ? '' : `; got ${show(value)}`
}

/**
 * What an option got, to end a message with; a user's name as it is, because nothing of it is secret.
 *
 * @example gotName('orders app') // '; got "orders app" (string)'
 */
export function gotName(value: unknown): string {
  return typeof value === 'string' ? `; got ${JSON.stringify(value.slice(0, 120))} (string)` : got(value)
}

/**
 * Shows a value that is not secret, with its type. What stands before an `@` might be a password, and behind
 * a `?` a signature.
 *
 * @example show('postgres://admin:secret@db?sig=1') // '"postgres://…@db?…" (string)'
 */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    return `${JSON.stringify(
      value
        .slice(0, 120)
        .replace(/\?.*/s, '?…')
        .replace(/^([a-z0-9+.-]+:\/\/)?.*@/i, '$1…@'),
    )} (string)`
  }
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  return `${String(value)} (${typeof value})`
}
