let isTold = false

/**
 * Warns, once in a process, that a transaction was begun inside another one on the same connection. Callers
 * that run side by side on one connection, as the records of a batch do, end up in each other's transaction:
 * what one rolls back, the others lose, and what one commits includes what another meant to roll back.
 *
 * @param pool What gives each caller a connection of its own: `iamPgPool`.
 */
export function warnOfSharedTransaction(pool: string): void {
  if (isTold) return
  isTold = true
  process.emitWarning(
    'A transaction was begun while another one was open on the same connection. Where callers run side by side on one connection, their ' +
      `transactions mix. Take a connection of its own for each of them, out of a pool: ${pool}, for example.`,
    { type: 'RdsIamWarning', code: 'RDS_IAM_SHARED_TRANSACTION' },
  )
}
