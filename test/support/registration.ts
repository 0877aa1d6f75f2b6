import { test } from 'node:test'

/**
 * Holds the tests of a file back until all of them are registered. A file that starts servers between its
 * tests needs that: where no registered test is left for a moment, the runner takes the file for done, runs
 * its `after` and so ends servers whose tests are still to come.
 *
 * @returns To be called when all are registered.
 */
export function holdTests(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  test('registers all tests of the file before the first one runs', () => promise)
  return resolve
}
