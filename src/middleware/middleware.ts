import type { MiddlewareObj, Request } from '@middy/core'
import { readInvocation } from '../connection/invocation.ts'
import type { ConnectionSource, Lease } from '../connection/source.ts'
import { RdsIamError } from '../errors/rds-iam-error.ts'

/** What `.use()` takes, and gives the handler's context its type by. */
export type RdsIamMiddleware<Key extends string, Connection> = MiddlewareObj<
  unknown,
  // biome-ignore lint/suspicious/noExplicitAny: middy's own types leave the result open in this way
  any,
  Error,
  Context<Key, Connection>
>

type Context<Key extends string, Connection> = Request['context'] & { [P in Key]: Connection }

/** Acquires a connection before the handler and releases it afterwards. */
export function createMiddleware<Key extends string, Connection extends object>(
  name: string,
  contextKey: string,
  source: ConnectionSource<Connection>,
): RdsIamMiddleware<Key, Connection> {
  // By request, because `after` and `onError` of one invocation may come late, when the connection is
  // another's.
  const leases = new WeakMap<object, Lease<Connection>>()
  const attached = new WeakSet<Connection>()

  const attach = (request: { context: object }, lease: Lease<Connection>): void => {
    leases.set(request, lease)
    attached.add(lease.connection)
    ;(request.context as Record<string, unknown>)[contextKey] = lease.connection
  }

  const before = (request: { context: object }): void | Promise<void> => {
    const present = (request.context as Record<string, unknown>)[contextKey]
    if (present !== undefined && !attached.has(present as Connection)) throw keyTaken(name, contextKey)
    const lease = source.acquire(readInvocation(request.context))
    return lease instanceof Promise ? lease.then(lease => attach(request, lease)) : attach(request, lease)
  }

  const detach = (request: { context: object }): Lease<Connection> | undefined => {
    const lease = leases.get(request)
    if (lease === undefined) return undefined
    leases.delete(request)
    ;(request.context as Record<string, unknown>)[contextKey] = undefined
    return lease
  }

  const after = (request: { context: object }): void | Promise<void> => {
    const lease = detach(request)
    if (lease !== undefined) return source.release(lease)
  }

  const onError = (request: { context: object; error?: unknown }): void | Promise<void> => {
    const lease = detach(request)
    if (lease === undefined) return
    if (isEarlyTimeout(request.error)) return source.discard(lease)
    return source.release(lease)
  }

  return { before, after, onError }
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
