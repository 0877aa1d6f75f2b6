import type { Decision, Gateway, GatewayOptions } from '../../kit/src/index.ts'
import { startGateway } from '../support/gateway.ts'
import type { Engine, Server } from './engines.ts'
import { keys } from './seen.ts'

/** Two servers of one kind, the second one for failing over to, and the gateways in front of them. */
export interface Site {
  readonly engine: Engine
  readonly region: string
  readonly servers: { first: Server; readonly second: Server }
  readonly gateways: { readonly first: Gateway; readonly second: Gateway }
  /** What all gateways decided since the row began. */
  readonly decisions: Decision[]
  /** Ends with the first decision, from now on, whose detail is like this. */
  whenDecided(detail: RegExp): Promise<void>
  /** PEM of all gateways' authorities. */
  authorities(): readonly string[]
  /** Moves the gateways' clock. */
  moveClock(aheadMs: number): void
  /** Another gateway in front of the first server, with options of its own; tokens are signed for the first one's endpoint. */
  gate(options: Partial<GatewayOptions>): Promise<Gateway>
  /** Ends what the row started, and puts the rest back. */
  reset(): Promise<void>
  stop(): Promise<void>
}

/** Waits until no client is there, and nothing more is decided: of a login that its client did not live to see, for example. */
async function becomeQuiet(gateway: Gateway): Promise<void> {
  let before = -1
  for (;;) {
    const { open, admitted, refused } = gateway.stats()
    if (open === 0 && admitted + refused === before) return
    before = admitted + refused
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

export async function startSite(engine: Engine): Promise<Site> {
  const region = 'eu-west-1'
  const decisions: Decision[] = []
  // One after the other: mariadb-install-db does not always bear company.
  const servers = { first: await engine.start('first'), second: await engine.start('second') }
  const listeners = new Set<(decision: Decision) => void>()
  let aheadMs = 0
  const gate = (server: Server, options: Partial<GatewayOptions> = {}) =>
    startGateway({
      engine: engine.protocol,
      upstream: { port: server.port },
      region,
      credentials: Object.values(keys),
      now: () => Date.now() + aheadMs,
      ...options,
      onDecision: decision => {
        decisions.push(decision)
        for (const listener of listeners) listener(decision)
        options.onDecision?.(decision)
      },
    })
  const firstGateway = await gate(servers.first)
  const endpoints = [{ host: 'localhost', port: firstGateway.port }]
  const gateways = { first: firstGateway, second: await gate(servers.second, { endpoints }) }
  const others: Gateway[] = []

  return {
    engine,
    region,
    servers,
    gateways,
    decisions,
    whenDecided: detail =>
      new Promise(resolve => {
        const listener = (decision: Decision): void => {
          if (!detail.test(decision.detail)) return
          listeners.delete(listener)
          resolve()
        }
        listeners.add(listener)
      }),
    authorities: () => [...Object.values(gateways), ...others].map(({ ca }) => ca),
    moveClock(ms) {
      aheadMs = ms
    },
    async gate(options) {
      const gateway = await gate(servers.first, { endpoints, ...options })
      others.push(gateway)
      return gateway
    },
    async reset() {
      aheadMs = 0
      await Promise.all(Object.values(gateways).map(becomeQuiet))
      decisions.length = 0
      await Promise.all(others.splice(0).map(gateway => gateway.close()))
    },
    async stop() {
      await Promise.all([...Object.values(gateways), ...others].map(gateway => gateway.close()))
      await Promise.all([servers.first.stop(), servers.second.stop()])
    },
  }
}
