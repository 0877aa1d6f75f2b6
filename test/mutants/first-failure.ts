import type { TestEvent } from 'node:test/reporters'

/** A reporter of `node --test`: one failure is enough, and ends the process in which the tests run. */
export default async function* endAtFailure(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type !== 'test:fail') continue
    yield `${event.data.name}: ${event.data.details.error}\n`
    process.exit(1)
  }
}
