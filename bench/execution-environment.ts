import { execFileSync } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { isDeepStrictEqual } from 'node:util'
import { createTokenSource } from 'middy-rds-iam'
import { type FunctionProcess, startFunction } from '../local/function-process.ts'
import { type Stack, standInIdentity } from '../local/stack.ts'
import { median } from './median.ts'

/** What one execution environment took, from the start of its process to its last invocation. */
export interface Run {
  /** From the start of the process to the first row. */
  readonly coldStartMs: number
  /** The part of it before the first invocation. */
  readonly initMs: number
  readonly firstInvocationMs: number
  /** Median, with the round trip to the Runtime API in it. */
  readonly warmInvocationMs: number
  /** Resident memory after the last invocation, in 1 000 000 bytes. */
  readonly memoryMB: number
  readonly connections: number
  /** Distinct ones: two that were signed within the same second are the same. */
  readonly tokens: number
}

export const invocationsPerRun = 100

/**
 * Starts the bundle `postgres/middleware.mjs` of a folder, for example, as a function of that name.
 *
 * @param environment Variables beside those of the database.
 */
export function startBundle(
  stack: Stack,
  folder: string,
  name: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<FunctionProcess> {
  return startFunction({
    name,
    folder,
    handler: `${name}.handler`,
    environment: { ...standInIdentity, ...stack.functionEnvironment('localhost'), ...environment },
  })
}

/** Signs a token for a function that does not sign any itself. */
export function signToken(stack: Stack): Promise<string> {
  return createTokenSource({
    host: 'localhost',
    port: stack.database.port,
    user: userOf(stack),
    region: standInIdentity.AWS_REGION,
    credentials: {
      accessKeyId: standInIdentity.AWS_ACCESS_KEY_ID,
      secretAccessKey: standInIdentity.AWS_SECRET_ACCESS_KEY,
    },
  })()
}

function userOf(stack: Stack): string {
  return stack.functionEnvironment('localhost')[stack.variables.user] ?? ''
}

/** Starts a function, invokes it a hundred times and ends it. @throws Where an answer is wrong. */
export async function runFunction(stack: Stack, folder: string, name: string): Promise<Run> {
  const decisionsBefore = stack.database.decisions.length
  const token = name.endsWith('/floor') ? { DATABASE_TOKEN: await signToken(stack) } : {}
  const startedMs = performance.now()
  const environment = await startBundle(stack, folder, name, token)
  try {
    const { initMs = Number.NaN, durationMs } = await invoke(stack, environment, name, 1)
    const coldStartMs = performance.now() - startedMs
    const warmMs: number[] = []
    for (let number = 2; number <= invocationsPerRun; number += 1)
      warmMs.push((await invoke(stack, environment, name, number)).durationMs)
    const memoryMB = readMemory(environment.pid)
    const decisions = stack.database.decisions.slice(decisionsBefore)
    return {
      coldStartMs,
      initMs,
      firstInvocationMs: durationMs,
      warmInvocationMs: median(warmMs),
      memoryMB,
      connections: decisions.length,
      tokens: new Set(decisions.map(({ tokenId }) => tokenId)).size,
    }
  } finally {
    await environment.stop()
  }
}

async function invoke(stack: Stack, environment: FunctionProcess, name: string, number: number) {
  const invocation = await environment.invoke({ number })
  const expected = { double: number * 2, user: userOf(stack) }
  if (isDeepStrictEqual(invocation.payload, expected)) return invocation
  const got = JSON.stringify(invocation.error ?? invocation.payload)
  throw new Error(
    `${name}, invocation ${number}: expected ${JSON.stringify(expected)}, got ${got}\n${environment.logs()}`,
  )
}

function readMemory(pid: number): number {
  const kibibytes = execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })
  return (Number(kibibytes) * 1024) / 1e6
}
