import { show } from 'middy-rds-iam/options'
import type { ProxyListen, ProxyOptions } from '../proxy/options.ts'
import { readAddress, readEndpoint, readNumber, UsageError } from './arguments.ts'

/** A database that is to have a port of its own. */
export interface Target {
  /** Where on the command line it is, without what may be secret; nothing where it is all of it. */
  readonly name: string | undefined
  readonly options: ProxyOptions
}

const schemes: Readonly<Record<string, 'postgres' | 'mysql'>> = {
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'mysql:': 'mysql',
  'mariadb:': 'mysql',
}

const parameterNames = ['endpoint', 'region', 'listen', 'socket']

/** Reads `postgres://orders_app@orders.c1x2.eu-west-1.rds.amazonaws.com:5432/orders?listen=15432`. */
export function readUrl(text: string): Target {
  const name = show(text).replace(/ \(string\)$/, '')
  const wrong = (problem: string) => new UsageError(`${name} ${problem}`)
  const url = URL.canParse(text) ? new URL(text) : undefined
  const engine = url === undefined ? undefined : schemes[url.protocol]
  if (url === undefined || engine === undefined)
    throw wrong('is no URL of the form postgres://user@endpoint/database, or mysql://…')
  if (url.password !== '') throw wrong('has a password: a token takes its place, leave it out')
  for (const parameter of url.searchParams.keys())
    if (!parameterNames.includes(parameter))
      throw wrong(`has the parameter ${JSON.stringify(parameter)}: there are ${parameterNames.join(', ')}`)
  const parameter = (parameter: string) => url.searchParams.get(parameter) ?? undefined
  const decode = (part: string) => (part === '' ? undefined : decodeText(part, wrong))
  const endpoint = parameter('endpoint')
  const region = parameter('region')
  return {
    name,
    options: {
      engine,
      host: decode(url.hostname.replace(/^\[(.*)\]$/, '$1')),
      port: url.port === '' ? undefined : Number(url.port),
      user: decode(url.username),
      database: decode(url.pathname.slice(1)),
      endpoint: endpoint === undefined ? undefined : readEndpoint(`endpoint of ${name}`, endpoint),
      ...(region !== undefined && { region }),
      listen: readListen(`listen of ${name}`, parameter('listen'), 'socket', parameter('socket')),
    },
  }
}

function decodeText(part: string, wrong: (problem: string) => UsageError): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw wrong('has a % that begins no encoded byte')
  }
}

/** Reads a port, or an address with one, or the path of a socket. */
export function readListen(
  flag: string,
  text: string | undefined,
  socketFlag: string,
  socket: string | undefined,
): ProxyListen | undefined {
  if (text !== undefined && socket !== undefined)
    throw new UsageError(`${flag} and ${socketFlag} contradict each other; give one of them`)
  if (socket !== undefined) return { socket }
  if (text === undefined) return undefined
  return text.includes(':') ? readAddress(flag, text) : { port: readNumber(flag, text) }
}
