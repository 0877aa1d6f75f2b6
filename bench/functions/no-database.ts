import middy from '@middy/core'

const user = process.env.PGUSER ?? process.env.MYSQL_USER

// What a process and its first invocation take anyway.
export const handler = middy<{ number: number }>().handler(async ({ number }) => ({
  double: number * 2,
  user,
}))
