import { initTRPC, type TRPCError } from '@trpc/server'

/** What went wrong is for the log. tRPC would answer with the message of the database, or of the connection. */
export const t = initTRPC.create({
  // Otherwise stack traces are answered wherever NODE_ENV is not production, in Lambda too.
  isDev: false,
  errorFormatter: ({ shape, error }) =>
    error.code === 'INTERNAL_SERVER_ERROR' ? { ...shape, message: 'internal error' } : shape,
})

/** tRPC itself logs no error. What the caller did wrong is no news. */
export function logError({ error, path }: { error: TRPCError; path: string | undefined }): void {
  if (error.code === 'INTERNAL_SERVER_ERROR') console.error(path, error)
}
