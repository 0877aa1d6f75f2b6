import { createSocket } from 'node:dgram'
import dns from 'node:dns'
import { once } from 'node:events'
import { after } from 'node:test'

/** A DNS server on this machine, which knows aliases and nothing else. */
export interface Dns {
  /** The aliases that it knows, in lower case. */
  readonly aliases: Map<string, string>
  /** The names that it was asked for, in lower case. */
  readonly asked: string[]
  /** Whether it keeps silent. */
  isSilent: boolean
}

/** Has a DNS server of its own answer this process, until its tests are over. */
export async function useDns(): Promise<Dns> {
  const aliases = new Map<string, string>()
  const asked: string[] = []
  const own: Dns = { aliases, asked, isSilent: false }

  const server = createSocket('udp4', (query, { port, address }) => {
    const [name, end] = readName(query, 12)
    asked.push(name)
    if (own.isSilent) return
    const alias = aliases.get(name)
    const head = Buffer.from(query.subarray(0, 12))
    // An answer, recursion available; where there is none: no such name.
    head.writeUInt16BE(alias === undefined ? 0x8183 : 0x8180, 2)
    head.writeUInt16BE(alias === undefined ? 0 : 1, 6)
    head.writeUInt32BE(0, 8)
    const question = query.subarray(12, end + 4)
    const data = alias === undefined ? Buffer.alloc(0) : encodeName(alias)
    const record = Buffer.from([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 0xff])
    const answer = alias === undefined ? [] : [record, data]
    server.send(Buffer.concat([head, question, ...answer]), port, address)
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  const before = dns.getServers()
  dns.setServers([`127.0.0.1:${server.address().port}`])
  after(() => {
    dns.setServers(before)
    server.close()
  })
  return own
}

function readName(packet: Buffer, start: number): [string, number] {
  const labels: string[] = []
  let at = start
  for (let length = packet[at] ?? 0; length > 0; length = packet[at] ?? 0) {
    labels.push(packet.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return [labels.join('.').toLowerCase(), at + 1]
}

function encodeName(name: string): Buffer {
  const labels = name
    .split('.')
    .map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  return Buffer.concat([...labels, Buffer.alloc(1)])
}
