import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import pg from 'pg'
import { type LocalProxy, type ProxyEvent, type ProxyOptions, startProxy } from '../../src/index.ts'
import { type Fixture, region, type Scope, standIn } from '../gateway/support.ts'

/** A proxy, and what it has told. */
export interface ProxyFixture {
  readonly proxy: LocalProxy
  readonly events: ProxyEvent[]
}

/** Starts a proxy to a gateway, which stands for RDS. It ends with the test. */
export async function openProxy(
  scope: Scope,
  gateway: Pick<Fixture['gateway'], 'port' | 'ca'>,
  options: Partial<ProxyOptions> = {},
): Promise<ProxyFixture> {
  const events: ProxyEvent[] = []
  const proxy = await startProxy({
    host: 'localhost',
    port: gateway.port,
    user: 'app',
    database: 'orders',
    region,
    tls: { ca: gateway.ca },
    credentials: standIn,
    onEvent: event => events.push(event),
    ...options,
  })
  scope.after(() => proxy.close())
  return { proxy, events }
}

/** A client by the proxy's URL that is not connected yet; errors of later are taken. */
export function makeLocalClient(proxy: LocalProxy, overrides: pg.ClientConfig = {}): pg.Client {
  const client = new pg.Client({ connectionString: proxy.url, ...overrides })
  client.on('error', () => {})
  return client
}

export async function connectLocally(
  scope: Scope,
  proxy: LocalProxy,
  overrides: pg.ClientConfig = {},
): Promise<pg.Client & { readonly processID: number; readonly secretKey: number }> {
  const client = makeLocalClient(proxy, overrides)
  await client.connect()
  scope.after(() => client.end())
  return client as Awaited<ReturnType<typeof connectLocally>>
}

/** A URL with something else in the place of its password. */
export const withPassword = (url: string, password: string): string =>
  url.replace(/:[^:@/]+@/, `:${password}@`)

const run = promisify(execFile)

/** What a program prints, or says where it fails. */
export async function runTool(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  try {
    return await run(command, args, { env: { PATH: process.env.PATH ?? '', ...env } })
  } catch (error) {
    return error as { stdout: string; stderr: string }
  }
}

/** Why a program is not to be tested with; nothing where it is there. */
export async function findMissing(command: string): Promise<string | false> {
  const { stdout } = await runTool(command, ['--version'])
  return stdout ? false : `${command} is not installed`
}

/** Waits until something is so. */
export async function until(isSo: () => unknown): Promise<void> {
  while (!(await isSo())) await new Promise(resolve => setTimeout(resolve, 5))
}

/** What is told of one kind, in words. */
export const namesOf = (events: readonly ProxyEvent[]): string[] => events.map(({ event }) => event)
