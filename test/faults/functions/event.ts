/** What the function under fault is told to do. */
export interface Event {
  /** Statements, run one after another on one connection. The answer is the rows of the last one. */
  readonly sql?: readonly string[]
  /** What it leaves running behind them, by its name in `leave-pg.ts` and `leave-mysql2.ts`. */
  readonly leaves?: string
  /** What the handler does then, in place of giving back what it took and answering. */
  readonly ending?:
    | 'throws'
    | 'leaves a query running'
    | 'keeps the connection'
    | 'hangs'
    | 'ends it'
    | 'destroys it'
    | 'runs out of time with a query'
    | 'shows what it holds'
    | 'measures'
  /** A middleware before the one under test answers. Only with middy, as `late`. */
  readonly early?: 'answers'
  /** A middleware behind the one under test does this. */
  readonly late?: 'answers' | 'throws' | 'answers the error'
  /** The clock of the process is so far ahead from now on, in milliseconds. */
  readonly aheadMs?: number
  /** Environment variables from now on. */
  readonly environment?: Readonly<Record<string, string>>
  /** So many signings fail from now on, where the function was started with `FAULTY_CREDENTIALS`. */
  readonly failingSignings?: number
  /** Runs the event so many times at once, each as an invocation of its own; the answer is a list. */
  readonly copies?: number
  /**
   * How the function is called; `abandoned`: the handler answers by an error shortly before its deadline, and its work goes on.
   *
   * @default as an ordinary one
   */
  readonly call?: 'streaming' | 'durable' | 'suspended' | 'abandoned'
}

/** What the process of a function holds, after its garbage was collected. */
export interface Measurement {
  readonly heapMB: number
  readonly rssMB: number
  /** Outside of the heap, as far as Node knows. */
  readonly externalMB: number
  /** What keeps its event loop alive, by Node's names, `TCPSocketWrap` and `Timeout` for example. */
  readonly resources: Readonly<Record<string, number>>
  /** Listeners on the process and on what the handler holds. */
  readonly listeners: number
}
