import type { Caller } from '../drivers/callers.ts'

/** What is known of one invocation of the function. Its id is the same for every attempt of an asynchronous one. */
export interface Invocation extends Caller {
  /** When Lambda ends it, in milliseconds since the epoch; infinity where nobody knows. */
  readonly deadlineMs: number
  /** The AWS account of the function. */
  readonly account: string | undefined
}

/** The initialisation of the execution environment, before there is an invocation. */
export const initialisation: Invocation = {
  id: undefined,
  hasEnded: false,
  wasCutOff: false,
  deadlineMs: Number.POSITIVE_INFINITY,
  account: undefined,
}

/**
 * Time in milliseconds that stays with the handler: enough to answer with the error before Lambda ends the
 * invocation.
 */
const answerReserveMs = 200

/** What is read of Lambda's context. */
interface Context {
  awsRequestId: string
  invokedFunctionArn: string
  getRemainingTimeInMillis(): number
}

/** Reads Lambda's context; in a durable function, it stands inside another. */
export function readInvocation(context: object): Invocation {
  const { lambdaContext } = context as { lambdaContext?: object }
  const lambda = (lambdaContext ?? context) as Partial<Context>
  const remainingMs = lambda.getRemainingTimeInMillis?.() ?? Number.NaN
  return {
    id: lambda.awsRequestId,
    hasEnded: false,
    wasCutOff: false,
    deadlineMs: Number.isNaN(remainingMs) ? Number.POSITIVE_INFINITY : Date.now() + remainingMs,
    account: lambda.invokedFunctionArn?.split(':')[4],
  }
}

/** Until when an invocation may wait for a connection, in milliseconds since the epoch. */
export function connectDeadline(invocation: Invocation, connectTimeoutMs: number): number {
  return Math.min(Date.now() + connectTimeoutMs, invocation.deadlineMs - answerReserveMs)
}
