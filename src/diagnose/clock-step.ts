import { urlSuffixOf } from '../identifiers/region.ts'
import { readVariable } from '../options/environment.ts'
import type { Outcome } from './steps.ts'
import { stepDeadline, type TimeLimit } from './time-limit.ts'

/** Another clock, compared with this machine's. */
interface ClockDifference {
  /** By how much this machine's clock is ahead, in milliseconds; less than 0 where it is behind. */
  readonly aheadMs: number
  /** How far the truth may be from that, in milliseconds. */
  readonly errorMs: number
}

/** Clocks that are set by a network differ by less than a second. This much, nobody sets. */
const warnFromMs = 30_000

// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
const tokenLifetimeMs = 900_000

/** A network that lets nobody out swallows what is sent to AWS. It is not waited for as long as for a step. */
const awsAnswerMs = 2_000

/**
 * Compares the clock of this machine with that of the database, after a login.
 *
 * @param ask Asks the database for its time, in milliseconds since the epoch.
 */
export async function compareWithDatabase(ask: () => Promise<number>): Promise<Outcome> {
  return describe('database', "the server's", await compare(ask, 0))
}

/**
 * Compares the clock of this machine with that of AWS, where a server refused the token: such a server tells
 * no time, neither by its protocol nor by TLS. The `Date` of an HTTP answer is what the AWS SDK goes by, too,
 * where signatures are refused. STS is asked without credentials, for its date alone.
 *
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html `AWS_ENDPOINT_URL_STS`
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.date
 */
export async function compareWithAws(region: string, limit: TimeLimit): Promise<Outcome> {
  const url = readVariable('AWS_ENDPOINT_URL_STS') ?? `https://sts.${region}.${urlSuffixOf(region)}`
  const timeoutMs = Math.max(1, Math.round(Math.min(awsAnswerMs, stepDeadline(limit) - Date.now())))
  const ask = async () => {
    const signal = AbortSignal.timeout(timeoutMs)
    const { headers } = await fetch(url, { method: 'HEAD', redirect: 'manual', signal })
    // A date without its fraction stands for a whole second; its middle is off by half of one at most.
    return Date.parse(headers.get('date') ?? '') + 500
  }
  try {
    return describe('aws', "AWS's", await compare(ask, 500))
  } catch (error) {
    const { cause, message } = error as Error
    const why = cause instanceof Error ? cause.message : message
    return {
      status: 'unknown',
      finding: `nobody told the time: not the server, which refused the login, and not ${url} (${why})`,
      remedy: `Compare \`date -u\` with another clock. ${consequence}`,
      value: undefined,
    }
  }
}

async function compare(ask: () => Promise<number>, ownErrorMs: number): Promise<ClockDifference> {
  const sentMs = Date.now()
  const started = performance.now()
  const theirsMs = await ask()
  if (Number.isNaN(theirsMs)) throw new Error('the answer has no time')
  // The answer was made at some moment of the round trip: in the middle, give or take half of it.
  const halfMs = (performance.now() - started) / 2
  return { aheadMs: sentMs + halfMs - theirsMs, errorMs: halfMs + ownErrorMs }
}

const consequence =
  'A token can be used for 15 minutes from the time at which this clock says that it was signed, and is refused outside of them.'

function describe(source: string, whose: string, { aheadMs, errorMs }: ClockDifference): Outcome {
  const amount = Math.abs(aheadMs)
  const within = `give or take ${write(errorMs)}`
  const finding =
    amount <= errorMs
      ? `your clock and ${whose} agree, ${within}`
      : `your clock is ${write(amount)} ${aheadMs < 0 ? 'behind' : 'ahead of'} ${whose}, ${within}`
  // Not -0, which JSON does not know.
  const details = { source, aheadMs: Math.round(aheadMs) + 0, errorMs: Math.ceil(errorMs) }
  if (amount - errorMs < warnFromMs) return { finding, details, value: undefined }
  const effect =
    aheadMs > 0
      ? `Here it is dated ${write(amount)} in the future.`
      : amount < tokenLifetimeMs
        ? `Here it is ${write(amount)} old as soon as it is signed, and can be used for ${write(tokenLifetimeMs - amount)}.`
        : 'Here each is too old as soon as it is signed.'
  const remedy = `Set the clock of this machine, by NTP. ${consequence} ${effect}`
  return { status: 'warning', finding, remedy, details, value: undefined }
}

function write(ms: number): string {
  return ms < 1_000 ? `${Math.ceil(ms)} ms` : `${Math.round(ms / 1_000)} s`
}
