/**
 * Something that a database needs is not on this machine: the message says what, and how to install it. A
 * test may say so and be skipped.
 *
 * @example
 * ```ts
 * try {
 *   await startDatabase({ engine: 'mysql', users: ['shop_app'] })
 * } catch (error) {
 *   if (error instanceof NotInstalled) console.log(`skipped: ${error.message}`)
 * }
 * ```
 */
export class NotInstalled extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'NotInstalled'
  }
}
