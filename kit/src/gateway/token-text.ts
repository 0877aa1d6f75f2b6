const required = [
  'Action',
  'DBUser',
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
] as const
const known: ReadonlySet<string> = new Set([...required, 'X-Amz-Security-Token'])
/** A parameter that every token has. */
export const partOf = (parameters: ReadonlyMap<string, string>, name: (typeof required)[number]): string =>
  parameters.get(name) ?? ''

/** The parts of a token, decoded. */
export interface Token {
  /** As it was signed, `host:port`. */
  readonly host: string
  readonly parameters: ReadonlyMap<string, string>
}

/**
 * The parts of a token, or what is wrong with it; nothing of a text that is no token is repeated.
 *
 * The parameters may stand in any order, which differs from SDK to SDK. The slash before them may be missing, as
 * it is in the tokens of the SDK for Go: the canonical path of an empty one is `/`, so both have one signature.
 *
 * @see https://github.com/aws/aws-sdk-go-v2/blob/main/feature/rds/auth/connect.go
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.Go.html
 */
export function parseToken(text: string): Token | string {
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(text))
    return 'what was sent begins with the scheme of a URL, which an authentication token does not have'
  const [, host, query] = /^([^/?]+)\/?\?(.*)$/s.exec(text) ?? []
  if (host === undefined || query === undefined)
    return 'what was sent is not an authentication token: it has no "host:port/?" in front'
  const parameters = new Map<string, string>()
  for (const part of query.split('&')) {
    const equals = part.indexOf('=')
    // Names as they are: no SDK encodes them.
    const name = part.slice(0, Math.max(equals, 0))
    if (!known.has(name)) return 'the token has a parameter that authentication tokens do not have'
    if (parameters.has(name)) return `the token has ${name} twice`
    const raw = part.slice(equals + 1)
    // Some read it as a blank, and have another name than who reads it as it is.
    if (raw.includes('+')) return `the token has a "+" in ${name}; it has to be encoded, as %2B or %20`
    const value = decode(raw)
    if (value === undefined) return 'a parameter of the token is not percent-encoded UTF-8'
    parameters.set(name, value)
  }
  const missing = required.filter(name => !parameters.has(name))
  if (missing.length > 0) return `the token lacks ${missing.join(', ')}`
  return { host, parameters }
}

/** `20261122T081500Z` as milliseconds since 1970, or nothing for another text. */
export function parseAmzDate(text: string): number | undefined {
  const parts = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(text)
  if (parts === null) return undefined
  const iso = `${parts[1]}-${parts[2]}-${parts[3]}T${parts[4]}:${parts[5]}:${parts[6]}.000Z`
  const ms = Date.parse(iso)
  // The 31st of February is parsed as a day in March by some calendars and as no day by others; take neither.
  return Number.isNaN(ms) || new Date(ms).toISOString() !== iso ? undefined : ms
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** Text that a client chose, made safe for a line of a log: quoted, escaped and cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 128 ? `${text.slice(0, 128)}…` : text)
}
