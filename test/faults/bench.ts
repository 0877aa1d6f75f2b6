import assert from 'node:assert/strict'
import { join } from 'node:path'
import { buildFunction } from '../../local/build-function.ts'
import { type FunctionProcess, startFunction } from '../../local/function-process.ts'
import type { Invocation } from '../../local/runtime-api.ts'
import { readTemplate } from '../../local/template.ts'
import type { RdsIamOptions } from '../../src/pg.ts'
import { openRelay, type Relay } from '../support/relay.ts'
import { database, type Engine, question, user } from './engines.ts'
import type { Event } from './functions/event.ts'
import { keys, see, variablesOf } from './seen.ts'
import type { Site } from './site.ts'

/** What an invocation of the function under fault answers to a question. */
export interface Answer {
  readonly session: number
  /** The server that answered. */
  readonly place: string
}

/** A function in a process of its own, and the relay by which it reaches the database. */
export interface Subject
  extends Pick<FunctionProcess, 'pid' | 'whenIdle' | 'freeze' | 'thaw' | 'logs' | 'shutDown'> {
  readonly relay: Relay
  /** Invokes it; what comes back is looked at by the caller. */
  invoke(event: Event, timeoutMs?: number): Promise<Invocation>
  /** Asks the database a question through it, and fails unless the answer is right and nothing of an earlier invocation shows. */
  ask(event?: Event, timeoutMs?: number): Promise<Answer>
  /** Invokes it, and fails unless the invocation fails by its own error. */
  fail(event: Event, pattern: RegExp, timeoutMs?: number): Promise<void>
}

/** How a function is started, where it differs. */
export interface Start {
  readonly options?: Partial<RdsIamOptions>
  /** The options of a second middleware, attached as `other`, or of a second pool. */
  readonly other?: Partial<RdsIamOptions>
  readonly environment?: Readonly<Record<string, string>>
  /** The port of the gateway that it starts at. @default the first server's */
  readonly gatewayPort?: number
  /** Called before the function starts. */
  readonly prepare?: (relay: Relay) => void
}

/** What a row of the table is run with: one middleware, or one pool without middy, on one server. */
export interface Bench {
  /** `iamPgPool` or `createPgPool` for example. */
  readonly kind: string
  readonly isPool: boolean
  /** Whether no middleware looks after the pool, and no invocation bounds it. */
  readonly isStandalone: boolean
  readonly engine: Engine
  readonly site: Site
  start(start?: Start): Promise<Subject>
  /** Ends the functions that were started, and searches what they hold. */
  finish(): Promise<void>
}

const folders = new Map<string, Promise<string>>()

/** Bundles the functions under fault as SAM does, once. @returns The folder. */
export function buildFaultFunctions(): Promise<string> {
  const { Metadata, Properties, ...rest } = readTemplate().Resources.PostgresNotesFunction
  const name = 'faults'
  const folder =
    folders.get(name) ??
    buildFunction(name, {
      ...rest,
      Properties: { ...Properties, CodeUri: 'test/faults/functions' },
      Metadata: {
        ...Metadata,
        BuildProperties: {
          ...Metadata.BuildProperties,
          EntryPoints: ['pg.ts', 'mysql2.ts', 'pg-pool.ts', 'mysql2-pool.ts'],
        },
      },
    })
  folders.set(name, folder)
  return folder
}

export function createBench(site: Site, kind: string): Bench {
  const { engine } = site
  const isStandalone = kind === engine.standalone
  const started: { readonly subject: Subject; readonly process: FunctionProcess }[] = []
  let questions = 0

  const start = async ({ options, other, environment, gatewayPort, prepare }: Start = {}) => {
    const relay = await openRelay(gatewayPort ?? site.gateways.first.port)
    prepare?.(relay)
    const common = {
      host: 'localhost',
      port: relay.port,
      // What the token is signed for, wherever the relay leads to.
      endpoint: { host: 'localhost', port: site.gateways.first.port },
      user,
      database,
      region: site.region,
      tls: { ca: site.authorities() },
    }
    const otherKey = isStandalone ? {} : { contextKey: 'other' }
    const folder = await buildFaultFunctions()
    const process = await startFunction({
      name: 'FaultsFunction',
      folder,
      handler: `${isStandalone ? engine.bareFile : engine.file}.handler`,
      // A busy machine takes its time; rows for which it matters say how long they have.
      timeoutMs: 20_000,
      environment: {
        AWS_REGION: site.region,
        ...variablesOf(keys.first),
        // The same code is compiled for each of some hundred processes.
        NODE_COMPILE_CACHE: join(folder, 'compiled'),
        ...(!isStandalone && { MIDDLEWARE: kind }),
        OPTIONS: JSON.stringify({ ...common, ...options }),
        ...(other && { OTHER_OPTIONS: JSON.stringify({ ...common, ...otherKey, ...other }) }),
        ...environment,
      },
    })
    const invoke = async (event: Event, timeoutMs?: number) => {
      const invocation = await process.invoke(event, timeoutMs === undefined ? {} : { timeoutMs })
      see(JSON.stringify(invocation))
      return invocation
    }
    const subject: Subject = {
      ...process,
      relay,
      invoke,
      async ask(event = {}, timeoutMs) {
        questions += 1
        const number = questions
        const sql = [...(event.sql ?? []), question(engine, number)]
        const { payload, error } = await invoke({ ...event, sql }, timeoutMs)
        if (error !== undefined) throw new Error(`the invocation failed: ${error.errorMessage}`)
        return readAnswer(payload as Row[], number)
      },
      async fail(event, pattern, timeoutMs) {
        const { error } = await invoke(event, timeoutMs)
        assert.match(`${error?.errorType}: ${error?.errorMessage}`, pattern)
      },
    }
    started.push({ subject, process })
    return subject
  }

  return {
    kind,
    isPool: kind.endsWith('Pool'),
    isStandalone,
    engine,
    site,
    start,
    async finish() {
      for (const { subject, process } of started.splice(0)) {
        process.thaw()
        await subject.invoke({ ending: 'shows what it holds' })
        see(process.logs())
        await process.stop()
        subject.relay.close()
      }
      see(site.decisions)
    },
  }
}

type Row = Readonly<Record<string, unknown>>

/** Holds the rows of an answer against the question. */
export function readAnswer(rows: readonly Row[], number: number): Answer {
  const [{ session, answer, notes, place } = {} as Row] = rows
  assert.deepEqual({ answer: Number(answer), notes: Number(notes) }, { answer: number * 2, notes: 0 })
  return { session: Number(session), place: String(place) }
}
