import middy from '@middy/core'

// What a process and its first invocation take anyway.
export const handler = middy<{ number: number }>().handler(async ({ number }) => ({
  double: number * 2,
  user: process.env.PGUSER,
}))
