import { type Access, createAccess } from '../../src/access/access.ts'
import type { Session } from '../../src/drivers/driver.ts'
import { postgresFailures } from '../../src/errors/postgres-failures.ts'
import type { EventDetail } from '../../src/events/emit.ts'
import type { AccessSettings } from '../../src/options/settings.ts'
import { signWithEnvironment } from '../../src/token/environment-signer.ts'
import type { SignerRequest } from '../../src/token/signer-request.ts'

/** What a session was asked to put back. */
export type Restoring = Parameters<Session['restore']>[0]

/** A session without a connection, which is usable, quiet and untouched unless a test says otherwise. */
export interface FakeSession extends Session {
  /** What was called, in this order. */
  readonly calls: string[]
  /** What {@link Session.restore} was asked for; the test ends each. */
  readonly restorings: (Restoring & PromiseWithResolvers<boolean>)[]
}

export function createFakeSession(changes: Partial<Session> = {}): FakeSession {
  const calls: string[] = []
  const call = (name: string) => void calls.push(name)
  const restorings: (Restoring & PromiseWithResolvers<boolean>)[] = []
  return {
    calls,
    restorings,
    isUsable: () => true,
    isBusy: () => false,
    isEnding: () => false,
    isInTransaction: () => false,
    begin: () => call('begin'),
    isTouched: () => false,
    user: undefined,
    takesWrites: () => true,
    async ping() {
      call('ping')
    },
    restore(what) {
      call('restore')
      const restoring = { ...what, ...Promise.withResolvers<boolean>() }
      restorings.push(restoring)
      return restoring.promise
    },
    canReset: () => true,
    restoration: undefined,
    leave: () => call('leave'),
    async close() {
      call('close')
    },
    ref: () => call('ref'),
    unref: () => call('unref'),
    ...changes,
  }
}

const keys = { accessKeyId: 'ASIAEXAMPLE', secretAccessKey: 'secret' }

/** An access whose events a test reads; it signs tokens by itself. */
export function createListeningAccess(): { readonly access: Access; readonly events: EventDetail[] } {
  const events: EventDetail[] = []
  const access = createAccess({
    host: 'orders',
    port: 5432,
    user: 'app',
    database: 'orders',
    region: 'eu-west-1',
    endpoint: { host: 'orders', port: 5432 },
    signer: (request: SignerRequest) => signWithEnvironment(request, keys),
    tokenMarginMs: 60_000,
    failures: postgresFailures,
    ca: [],
  } as unknown as AccessSettings)
  return { access: { ...access, emit: detail => void events.push(detail) }, events }
}
