import type { Readable } from 'node:stream'
import type { MiddlewareObj, Request } from '@middy/core'
import { readInvocation } from '../connection/invocation.ts'
import type { ConnectionSource, Lease } from '../connection/source.ts'
import { outside } from '../drivers/callers.ts'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { MiddlewareSettings } from '../options/settings.ts'
import { createWraps } from './wraps.ts'

/**
 * What `.use()` takes, and gives the handler's context its type by.
 *
 * @example
 * ```ts
 * import type { Client } from 'pg'
 * import { iamPg } from 'middy-rds-iam/pg'
 *
 * const database: RdsIamMiddleware<'orders', Client> = iamPg({ contextKey: 'orders' })
 * ```
 */
export type RdsIamMiddleware<Key extends string, Connection> = MiddlewareObj<
  unknown,
  // biome-ignore lint/suspicious/noExplicitAny: middy's own types leave the result open in this way
  any,
  Error,
  Request['context'] & { [P in Key]: Connection }
> &
  Closable

/**
 * What a test or a script ends, also by `await using`.
 *
 * @example
 * ```ts
 * import { iamPg } from 'middy-rds-iam/pg'
 *
 * const database: Closable = iamPg()
 * await database.close()
 * ```
 */
export interface Closable extends AsyncDisposable {
  /**
   * Ends all connections: idle ones at once, those in use when their invocation ends, or after five seconds.
   * An invocation afterwards fails with an `RdsIamError` of the code `RDS_IAM_CLOSED`. A second time is the
   * same time.
   */
  close(): Promise<void>
}

/** Acquires a connection before the handler and releases it afterwards. */
export function createMiddleware<Key extends string, Wrapped>(
  name: string,
  { contextKey, wrap }: Pick<MiddlewareSettings, 'contextKey' | 'wrap'>,
  source: ConnectionSource<object>,
): RdsIamMiddleware<Key, Wrapped> {
  // By request, because `after` and `onError` of one invocation may come late, when the connection is
  // another's.
  const leases = new WeakMap<object, Lease<object>>()
  const attached = new WeakSet<object>()
  const wrapOnce = createWraps(name, wrap)

  const attach = (request: { context: object }, lease: Lease<object>): void | Promise<void> => {
    let given: object
    try {
      // Whatever it does is done for all invocations, and belongs to none.
      given = outside(() => wrapOnce(lease.connection))
    } catch (error) {
      return refuse(lease, error)
    }
    source.begin(lease)
    leases.set(request, lease)
    attached.add(given)
    ;(request.context as Record<string, unknown>)[contextKey] = given
  }

  const refuse = async (lease: Lease<object>, error: unknown): Promise<never> => {
    await source.release(lease)
    throw error
  }

  const before = (request: { context: object }): void | Promise<void> => {
    const present = (request.context as Record<string, unknown>)[contextKey]
    if (present !== undefined && !attached.has(present as object)) throw keyTaken(name, contextKey)
    const lease = source.acquire(readInvocation(request.context))
    return lease instanceof Promise ? lease.then(lease => attach(request, lease)) : attach(request, lease)
  }

  const detach = (request: { context: object }): Lease<object> | undefined => {
    const lease = leases.get(request)
    if (lease === undefined) return undefined
    leases.delete(request)
    ;(request.context as Record<string, unknown>)[contextKey] = undefined
    return lease
  }

  const after = (request: { context: object; response?: unknown }): void | Promise<void> => {
    const lease = detach(request)
    if (lease === undefined) return
    const body = findStream(request.response)
    if (body === undefined) return source.release(lease)
    // middy calls this before it reads what the handler goes on to write.
    body.once('close', () => source.release(lease))
  }

  const onError = (request: { context: object; error?: unknown }): void | Promise<void> => {
    const lease = detach(request)
    if (lease === undefined) return
    if (!isEarlyTimeout(request.error)) return source.release(lease)
    return source.discard(lease)
  }

  const close = () => source.close()
  return { before, after, onError, close, [Symbol.asyncDispose]: close }
}

/** The stream that a handler answers with, where it has not ended yet. */
function findStream(response: unknown): Readable | undefined {
  const { body = response } = (response ?? {}) as { body?: unknown }
  const { once, pipe, destroyed } = (body ?? {}) as Partial<Readable>
  return typeof once === 'function' && typeof pipe === 'function' && destroyed === false
    ? (body as Readable)
    : undefined
}

/**
 * middy answers shortly before Lambda would end the invocation, and does not wait for the handler, which runs
 * on.
 */
function isEarlyTimeout(error: unknown): boolean {
  const { name, cause } = (error ?? {}) as { name?: unknown; cause?: { package?: unknown } }
  return name === 'TimeoutError' && cause?.package === '@middy/core'
}

function keyTaken(name: string, contextKey: string): RdsIamError {
  return new RdsIamError(
    'RDS_IAM_OPTIONS',
    `${name}: context.${contextKey} is taken by something else. Give each middleware a \`contextKey\` of its own.`,
  )
}
