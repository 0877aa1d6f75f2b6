/** What is known of one invocation of the function. */
export interface Invocation {
  /** Lambda's request id, the same for every attempt of an asynchronous invocation. */
  readonly id: string | undefined
  /** When Lambda ends it, in milliseconds since the epoch; infinity where nobody knows. */
  readonly deadlineMs: number
  /** The AWS account of the function. */
  readonly account: string | undefined
}

/** The initialisation of the execution environment, before there is an invocation. */
export const initialisation: Invocation = {
  id: undefined,
  deadlineMs: Number.POSITIVE_INFINITY,
  account: undefined,
}

/**
 * Time in milliseconds that stays with the handler: enough to answer with the error before Lambda ends the invocation.
 */
const answerReserveMs = 200

/** Reads Lambda's context; in a durable function, it stands inside another. */
export function readInvocation(context: object): Invocation {
  const { lambdaContext } = context as { lambdaContext?: object }
  const { awsRequestId, invokedFunctionArn, getRemainingTimeInMillis } = (lambdaContext ?? context) as {
    awsRequestId?: string
    invokedFunctionArn?: string
    getRemainingTimeInMillis?: () => number
  }
  return {
    id: awsRequestId,
    deadlineMs: Date.now() + (getRemainingTimeInMillis?.() ?? Number.POSITIVE_INFINITY),
    account: invokedFunctionArn?.split(':')[4],
  }
}

/** Until when an invocation may wait for a connection, in milliseconds since the epoch. */
export function connectDeadline(invocation: Invocation, connectTimeoutMs: number): number {
  return Math.min(Date.now() + connectTimeoutMs, invocation.deadlineMs - answerReserveMs)
}
