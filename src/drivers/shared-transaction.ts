let isTold = false

/**
 * Warns, once in a process, that somebody used a connection inside another caller's transaction. Callers that
 * run side by side on one connection, as the records of a batch do, end up in each other's transaction: what
 * one rolls back, the others lose, and what one commits includes what another meant to roll back.
 *
 * @param pool What gives each caller a connection of its own: `iamPgPool`.
 */
export function warnOfSharedTransaction(pool: string): void {
  if (isTold) return
  isTold = true
  process.emitWarning(
    'A connection was used inside a transaction that seems to be another caller’s. Where callers run side by side on one connection, their ' +
      `transactions mix. Take a connection of its own for each of them, out of a pool: ${pool}, for example.`,
    { type: 'RdsIamWarning', code: 'RDS_IAM_SHARED_TRANSACTION' },
  )
}

/** Whether a statement begins a transaction. */
export function beginsTransaction(sql: unknown): boolean {
  return typeof sql === 'string' && /^\s*(START\s+TRANSACTION|BEGIN)\b/i.test(sql)
}
