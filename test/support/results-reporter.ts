import { relative } from 'node:path'
import type { TestEvent } from 'node:test/reporters'

/** What came of one test, as a line of JSON. */
export interface Result {
  readonly file: string
  /** With those that it is part of: `MySQL 8.0.15 > a session > ends at the server`. */
  readonly name: string
  /** Passed where it is missing. */
  readonly failed?: string
  /** Why it was skipped. */
  readonly skipped?: string
}

/** A reporter of `node --test` in the checkout's folder: one line for each test, none for a suite. */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path: string[] = []
  for await (const event of source) {
    if (event.type === 'test:start') path[event.data.nesting] = event.data.name
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    const { name, nesting, skip, details, file = '' } = event.data
    const isSuite = details.type === 'suite'
    // A suite fails with its tests, but a file that ends by itself is a test of its own.
    if (isSuite) continue
    path.length = nesting
    const result: Result = {
      file: relative(process.cwd(), file),
      name: [...path, name].join(' > '),
      ...(event.type === 'test:fail' && {
        failed: String(event.data.details.error.cause ?? event.data.details.error),
      }),
      ...(skip !== undefined && skip !== false && { skipped: String(skip) }),
    }
    yield `${JSON.stringify(result)}\n`
  }
}
