/** What one invocation of a measured function does. */
export interface Task {
  /** Statements that run first, one after the other. Each of them must fail. */
  readonly failing?: readonly string[]
  /** Statements that run then. The answer is the first row of the last one. */
  readonly sql: readonly string[]
}

export type Row = Readonly<Record<string, unknown>>

/** @throws Where a statement does what it is not to do: an invocation that fails fails the benchmark. */
export async function runTask(
  { failing = [], sql }: Task,
  query: (statement: string) => Promise<readonly Row[]>,
): Promise<Row | undefined> {
  for (const statement of failing) {
    const failed = await query(statement).then(
      () => false,
      () => true,
    )
    if (!failed) throw new Error(`expected to fail: ${statement}`)
  }
  let rows: readonly Row[] = []
  for (const statement of sql) rows = await query(statement)
  return rows[0]
}

/** The options of the middleware, as the environment has them. */
export function readOptions(): object {
  return { tls: { ca: process.env.DATABASE_CA }, ...JSON.parse(process.env.OPTIONS ?? '{}') }
}
