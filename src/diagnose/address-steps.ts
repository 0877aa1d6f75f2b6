import dns from 'node:dns/promises'
import { once } from 'node:events'
import { BlockList, connect, isIPv6, type Socket } from 'node:net'
import { isIpAddress } from '../identifiers/endpoint.ts'
import { isRdsHost, regionOfHost } from '../identifiers/region.ts'
import { isLambda, readVariable } from '../options/environment.ts'
import type { Settings } from '../options/settings.ts'
import type { Outcome } from './steps.ts'
import { type TimeLimit, withinLimit } from './time-limit.ts'

/** Says where the Region comes from. A wrong Region already failed in the step `options`. */
export async function findRegion(
  { region, endpoint, followsWriter }: Settings,
  given: unknown,
): Promise<Outcome<string>> {
  if (followsWriter) return findWriterRegion(endpoint.host, region)
  const own = readVariable('AWS_REGION') ?? readVariable('AWS_DEFAULT_REGION')
  const source =
    regionOfHost(endpoint.host) !== undefined
      ? 'from the name of the endpoint'
      : given !== undefined
        ? 'from the option `region`'
        : 'from the environment, because the name of the endpoint does not tell it'
  const elsewhere = own === undefined || own === region ? '' : `; the process itself is in ${own}`
  return { finding: `${region}, ${source}${elsewhere}`, details: { region }, value: region }
}

/** Finds the Region of a global database's writer as the middleware does. */
async function findWriterRegion(host: string, fallback: string): Promise<Outcome<string>> {
  // As the middleware loads it, so that a bundle has it once.
  const { createWriterRegion } = await import('../access/writer-region.ts')
  let doubt: string | undefined
  const region = await createWriterRegion({
    host,
    fallback: fallback === '' ? undefined : fallback,
    tell: detail => {
      if (detail.event === 'region:assumed') doubt = detail.observed
    },
  })()
  const details = { region }
  if (doubt === undefined)
    return { finding: `${region}, where the writer of the global database is by DNS`, details, value: region }
  return {
    status: 'warning',
    finding: `${region}, from the environment, because DNS does not tell it: ${doubt}`,
    remedy: 'Check the DNS settings of the VPC; or give the Region that the writer is in as `region`.',
    details,
    value: region,
  }
}

/** Resolves the host as the drivers do, and follows its aliases to find an RDS endpoint behind them. */
export async function resolveHost(settings: Settings, limit: TimeLimit): Promise<Outcome> {
  const { host, endpoint } = settings
  const found = await withinLimit(dns.lookup(host, { all: true }), limit, 'no answer from DNS', 'EAI_AGAIN')
  const addresses = found.map(({ address }) => address)
  const kinds = [...new Set(addresses.map(kindOf))]
  const aliases = await followAliases(host, limit)
  const rdsName = aliases.find(name => regionOfHost(name) !== undefined)
  const listed = `${addresses.join(', ')} (${kinds.join(' and ')})`
  const details = { addresses, kinds, aliases }
  const leads = rdsName === undefined ? '' : `; the name is a CNAME that leads to ${rdsName}`
  const finding = addresses.includes(host) ? `${listed}; there is no name to resolve` : `${listed}${leads}`

  if (rdsName !== undefined && !isRdsHost(endpoint.host)) {
    const remedy =
      `Give \`endpoint: { host: '${rdsName}' }\` (on the command line \`--endpoint ${rdsName}\`): tokens are signed for that name, ` +
      'and the certificate bears it.'
    return { status: 'warning', finding, remedy, details, value: undefined }
  }
  if (rdsName !== undefined && host !== endpoint.host && !aliases.includes(endpoint.host)) {
    const remedy = `Check \`endpoint\`: tokens are signed for ${endpoint.host}, where the name does not lead.`
    return { status: 'warning', finding, remedy, details, value: undefined }
  }
  if (kinds.includes('public') && isLambda()) {
    const remedy =
      "Inside the database's VPC, the endpoint of RDS resolves to a private address. Check that the function is in that VPC, and that " +
      'the VPC has DNS support and DNS hostnames enabled.'
    return { status: 'warning', finding, remedy, details, value: undefined }
  }
  return { finding, details, value: undefined }
}

/** Follows the aliases (CNAMEs) of a name. It is no failure if there are none, or if no server answers. */
async function followAliases(host: string, limit: TimeLimit): Promise<readonly string[]> {
  // A name of RDS is an alias of the instance's name, which is of no use here. A local name has no alias.
  if (regionOfHost(host) !== undefined || isIpAddress(host) || host === 'localhost') return []
  const aliases: string[] = []
  const follow = async (name: string): Promise<void> => {
    const [alias] = await dns.resolveCname(name)
    // Chains of aliases are allowed, circles are an error:
    // https://www.rfc-editor.org/rfc/rfc1034#section-3.6.2
    if (alias === undefined || aliases.includes(alias) || aliases.length === 8) return
    aliases.push(alias.toLowerCase())
    if (regionOfHost(alias.toLowerCase()) === undefined) await follow(alias)
  }
  await withinLimit(follow(host), { ...limit, stepMs: Math.min(limit.stepMs, 2_000) }, '').catch(() => {})
  return aliases
}

const ranges: Readonly<Record<string, BlockList>> = {
  loopback: createRange(['127.0.0.0/8', '::1/128']),
  // RFC 1918, RFC 6598, link-local, and IPv6's unique local addresses
  private: createRange([
    '10.0.0.0/8',
    '172.16.0.0/12',
    '192.168.0.0/16',
    '100.64.0.0/10',
    '169.254.0.0/16',
    'fc00::/7',
    'fe80::/10',
  ]),
}

function createRange(networks: readonly string[]): BlockList {
  const range = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    range.addSubnet(address, Number(prefix), isIPv6(address) ? 'ipv6' : 'ipv4')
  }
  return range
}

/** `loopback`, `private` or `public`. */
function kindOf(address: string): string {
  const family = isIPv6(address) ? 'ipv6' : 'ipv4'
  return Object.keys(ranges).find(kind => ranges[kind]?.check(address, family)) ?? 'public'
}

/** Opens a TCP connection as the drivers do. */
export async function openTcp({ host, port }: Settings, limit: TimeLimit): Promise<Outcome<Socket>> {
  const socket = connect({ host, port, noDelay: true })
  socket.on('error', () => {})
  try {
    await withinLimit(once(socket, 'connect'), limit, 'no connection')
  } catch (error) {
    socket.destroy()
    throw error
  }
  const { remoteAddress = host } = socket
  return {
    finding: `connected to ${isIPv6(remoteAddress) ? `[${remoteAddress}]` : remoteAddress}:${port}`,
    details: { address: remoteAddress, port },
    value: socket,
  }
}
