import { setTimeout } from 'node:timers/promises'
import type { ResourceRequest } from './resource-request.ts'

/** How a request of CloudFormation ended. */
export interface Answer {
  readonly Status: 'SUCCESS' | 'FAILED'
  /** Shown to whoever looks at the stack. */
  readonly Reason: string
  readonly PhysicalResourceId: string
}

const attemptTimeoutMs = 5_000
const pausesMs = [500, 1_000, 2_000]

/** All that answering may take, in milliseconds. */
export const answerTimeMs =
  (pausesMs.length + 1) * attemptTimeoutMs + pausesMs.reduce((sum, pauseMs) => sum + pauseMs, 0)

/**
 * Answers CloudFormation, which waits for nothing else; where that fails, it is tried again.
 *
 * @throws When it failed for good, without the URL: that is as good as a password.
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
 */
export async function sendAnswer(request: ResourceRequest, answer: Answer): Promise<void> {
  const { StackId, RequestId, LogicalResourceId, ResponseURL } = request
  const { Status, PhysicalResourceId } = answer
  const Reason = shorten(answer.Reason)
  // As bytes: fetch would give a text a Content-Type, which the signature of the URL does not cover.
  const body = Buffer.from(
    JSON.stringify({ Status, Reason, PhysicalResourceId, StackId, RequestId, LogicalResourceId }),
  )
  for (let attempt = 0; ; attempt += 1) {
    const problem = await put(ResponseURL, body)
    if (problem === undefined) return
    const pauseMs = pausesMs[attempt]
    if (pauseMs === undefined) throw new Error(`CloudFormation could not be answered: ${problem}`)
    await setTimeout(pauseMs)
  }
}

async function put(url: string, body: Buffer<ArrayBuffer>): Promise<string | undefined> {
  try {
    const response = await fetch(url, {
      method: 'PUT',
      body,
      // What is at another address is not CloudFormation.
      redirect: 'error',
      signal: AbortSignal.timeout(attemptTimeoutMs),
    })
    await response.body?.cancel()
    return response.ok ? undefined : `HTTP ${response.status}`
  } catch (error) {
    const { name, cause } = error as { name: string; cause?: { code?: string } }
    return cause?.code ?? name
  }
}

/** An answer may have 4 096 bytes, a character of JSON six of them. */
function shorten(reason: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON makes six characters of each of them.
  const text = reason.replace(/[\u0000-\u001f]+/g, ' ')
  let short = text.slice(0, 1000)
  while (Buffer.byteLength(JSON.stringify(short)) > 1500) short = short.slice(0, -50)
  return short === text ? text : `${short}…`
}
