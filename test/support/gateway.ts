import { startWithAuthority } from '../../kit/src/gateway/gateway.ts'
import { readOptions } from '../../kit/src/gateway/settings.ts'
import { type Authority, type Gateway, type GatewayOptions, makeAuthority } from '../../kit/src/index.ts'

const authority = makeOnce()

/**
 * Starts a gateway as the kit's own `startGateway` does, but for its keys: all gateways of a process have the same authority, because
 * keys take more time to make than most tests take. Whoever needs a certificate that is not trusted makes an authority of their own.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  return startWithAuthority(readOptions(options), await authority)
}

/** An authority that issues one certificate for the same names. */
async function makeOnce(): Promise<Authority> {
  const { ca, issue } = await makeAuthority()
  const issued = new Map<string, ReturnType<typeof issue>>()
  return {
    ca,
    issue(subject) {
      const key = JSON.stringify(subject)
      const certificate = issued.get(key) ?? issue(subject)
      issued.set(key, certificate)
      return certificate
    },
  }
}
