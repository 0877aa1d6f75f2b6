import { isLoopback } from './loopback.ts'
import type { GatewayCredentials } from './sigv4.ts'

/** SAM CLI's stand-in for credentials, which it sets without a session token where it finds none. */
export const standInCredentials: GatewayCredentials = {
  accessKeyId: 'defaultkey',
  secretAccessKey: 'defaultsecret',
}

/** What to do where {@link isOpenToAll} says yes. */
export const closeToAll = 'name the users and a policy, or take credentials of your own'

/**
 * Whether whoever knows SAM CLI's documentation would get in from another machine. Who names the users and a
 * policy has said who may.
 */
export function isOpenToAll(
  host: string,
  credentials: Iterable<GatewayCredentials>,
  isNarrow: boolean,
): boolean {
  if (isLoopback(host) || isNarrow) return false
  const { accessKeyId, secretAccessKey } = standInCredentials
  return [...credentials].some(
    pair => pair.accessKeyId === accessKeyId && pair.secretAccessKey === secretAccessKey,
  )
}
