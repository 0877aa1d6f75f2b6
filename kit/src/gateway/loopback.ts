import { BlockList, isIPv6 } from 'node:net'
import { isIpAddress } from 'middy-rds-iam/identifiers'

// https://www.rfc-editor.org/rfc/rfc6890#section-2.2.2: what never leaves the machine.
const addresses = new BlockList()
addresses.addSubnet('127.0.0.0', 8)
addresses.addAddress('::1', 'ipv6')

/**
 * Whether only this machine reaches a host, and nothing on the way to it can be listened to. Of names, that
 * is known of `localhost` alone.
 *
 * @param host A name in lower case, or an IP address.
 */
export function isLoopback(host: string): boolean {
  if (!isIpAddress(host)) return host === 'localhost'
  return addresses.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')
}
