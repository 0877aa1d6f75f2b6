import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDecision } from '../../src/cli/decision-line.ts'

test('a decision stays one line, whatever name a client chose', () => {
  const name = 'a\nb\r\u2028\u0085\u001b[31m'
  const line = formatDecision({
    at: new Date(0),
    client: '127.0.0.1:5000',
    user: name,
    database: name,
    verdict: 'refused',
    reason: 'NotAuthorized',
    detail: `no statement of the policy allows rds-db:connect on arn:aws:rds-db:x:y:dbuser:db-A/${name}`,
  })
  assert.doesNotMatch(line.replace(/"[^"]*"/g, ''), /[\p{Cc}\u2028\u2029]/u)
  assert.match(line, /dbuser:db-A\/a\\u000ab\\u000d\\u2028\\u0085\\u001b\[31m$/)
})
