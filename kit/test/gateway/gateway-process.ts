import { fork } from 'node:child_process'
import { once } from 'node:events'
import { nodeFlags } from '../../../test/support/node-process.ts'
import type { Gateway, GatewayOptions } from '../../src/index.ts'
import { region, type Scope } from './support.ts'

export interface GatewayReport {
  /** Clients' connections. */
  readonly open: number
  /** Of the heap and what is outside of it, after all has been collected that can be. */
  readonly usedBytes: number
  /** Sockets, timers, servers: how many of each kind keep the process alive. */
  readonly resources: Readonly<Record<string, number>>
}

export interface GatewayProcess {
  /** As far as a client needs it. */
  readonly gateway: Gateway
  /** Tells what the gateway holds. @throws {Error} Where its process has ended. */
  report(): Promise<GatewayReport>
}

/** Starts a gateway in a process of its own: what it holds, and whether it breaks, is seen from outside. */
export async function startGatewayProcess(
  scope: Scope,
  options: Partial<GatewayOptions> & Pick<GatewayOptions, 'upstream'>,
): Promise<GatewayProcess> {
  const program = new URL('gateway-program.ts', import.meta.url)
  const child = fork(program, [JSON.stringify({ region, ...options })], {
    execArgv: [...nodeFlags, '--expose-gc'],
  })
  scope.after(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the gateway's process ended with ${signal ?? code}`)
  })
  ended.catch(() => {})
  const hear = async () => (await Promise.race([once(child, 'message'), ended]))[0]
  return {
    gateway: await hear(),
    report() {
      const answer = hear()
      if (child.connected) child.send('report')
      return answer
    },
  }
}
