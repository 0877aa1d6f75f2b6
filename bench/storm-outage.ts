import { createRefusals } from '../src/access/refusals.ts'
import { createConnector } from '../src/connection/connector.ts'
import type { ConnectRequest, Opened, Session } from '../src/drivers/driver.ts'
import { answers, createStormAccess, limitEvenly, roundTrip, stormSettings } from './storm.ts'
import { createVirtualClock, seededRandom } from './virtual-clock.ts'

/** A function that is deployed with a wrong policy, and asked all the while. */
export interface Outage {
  readonly requestsPerSecond: number
  /** How many new connections the server takes in a second, at most. What is turned away does not count. */
  readonly perSecond: number
  /** How long the policy is wrong, and how long the requests go on behind that, in milliseconds. */
  readonly brokenMs: number
  readonly mendedMs: number
  /** Whether an environment that was refused for a whole budget asks once an invocation from then on. */
  readonly remembers: boolean
  readonly seed: number
}

export interface OutageResult {
  /** The most invocations that were under way at once: all the time, and in the last half of the outage. */
  readonly mostAtOnce: number
  readonly mostAtOnceLater: number
  /** Attempts to log in, a second: in the first ten of the outage, and in its last half. */
  readonly loginsPerSecond: number
  readonly loginsPerSecondLater: number
  readonly environments: number
  /** The most logins of one invocation in the last half of the outage, and the longest that one took, in milliseconds. */
  readonly mostLoginsLater: number
  readonly worstMsLater: number
  /** From the mended policy to the end of the last invocation that failed, in milliseconds. */
  readonly recoveryMs: number
}

/** How long the handler takes once it has its connection, in virtual milliseconds. */
const handlerMs = 20

interface Environment {
  isConnected: boolean
  logins: number
  readonly connect: (asker: { readonly deadlineMs: number; readonly account: undefined }) => Promise<unknown>
}

/**
 * Sends requests to as many execution environments as there have to be, as Lambda does: each goes to the one
 * that was used last of those that are idle, or to a new one.
 */
export async function simulateOutage(outage: Outage): Promise<OutageResult> {
  const { requestsPerSecond, perSecond, brokenMs, mendedMs, remembers, seed } = outage
  const clock = createVirtualClock(seededRandom(seed))
  const startMs = clock.now()
  const elapsedMs = () => clock.now() - startMs
  const isLater = (ms = elapsedMs()) => ms >= brokenMs / 2 && ms < brokenMs
  const settings = stormSettings(() => clock.now())
  const pass = limitEvenly(perSecond, startMs)
  const networkRandom = seededRandom(seed + 1)
  const travel = () => clock.sleep(roundTrip.minMs + networkRandom() * roundTrip.jitterMs)
  const idle: Environment[] = []
  let [environments, current, mostAtOnce, mostAtOnceLater] = [0, 0, 0, 0]
  let [loginsEarly, loginsLater, mostLoginsLater, worstMsLater, recoveryMs] = [0, 0, 0, 0, 0]

  const connectOnce = async (
    environment: Environment,
    { token }: ConnectRequest,
  ): Promise<Opened<object>> => {
    environment.logins += 1
    if (elapsedMs() < 10_000) loginsEarly += 1
    if (isLater()) loginsLater += 1
    await travel()
    await token()
    const isAdmitted = elapsedMs() >= brokenMs && pass(clock.now())
    await travel()
    if (!isAdmitted) throw answers.refused
    return { connection: {}, session: {} as Session }
  }

  const createEnvironment = (): Environment => {
    environments += 1
    const own = createStormAccess(settings, clock)
    const access = remembers ? own : { ...own, refusals: { ...createRefusals(), remember() {} } }
    const environment: Environment = {
      isConnected: false,
      logins: 0,
      connect: createConnector({
        connect: request => connectOnce(environment, request),
        ...{ access, settings, clock },
      }),
    }
    return environment
  }

  const invoke = async (): Promise<void> => {
    const beganMs = elapsedMs()
    const environment = idle.pop() ?? createEnvironment()
    const { logins } = environment
    current += 1
    mostAtOnce = Math.max(mostAtOnce, current)
    if (isLater()) mostAtOnceLater = Math.max(mostAtOnceLater, current)
    try {
      if (!environment.isConnected)
        await environment.connect({ deadlineMs: clock.now() + settings.connectTimeoutMs, account: undefined })
      environment.isConnected = true
      await clock.sleep(handlerMs)
    } catch (error) {
      if ((error as Error).cause !== answers.refused) throw error
      recoveryMs = Math.max(recoveryMs, elapsedMs() - brokenMs)
    }
    if (isLater(beganMs)) {
      worstMsLater = Math.max(worstMsLater, elapsedMs() - beganMs)
      mostLoginsLater = Math.max(mostLoginsLater, environment.logins - logins)
    }
    current -= 1
    idle.push(environment)
  }

  const invocations: Promise<void>[] = []
  const send = async (): Promise<void> => {
    while (elapsedMs() < brokenMs + mendedMs) {
      invocations.push(invoke())
      await clock.sleep(1_000 / requestsPerSecond)
    }
  }
  const sent = send()
  await clock.run(() => false)
  await Promise.all([sent, ...invocations])
  return {
    ...{ mostAtOnce, mostAtOnceLater, environments, mostLoginsLater, worstMsLater, recoveryMs },
    loginsPerSecond: loginsEarly / 10,
    loginsPerSecondLater: loginsLater / (brokenMs / 2_000),
  }
}
