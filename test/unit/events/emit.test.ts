import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { emit } from '../../../src/events/emit.ts'
import { RdsIamError } from '../../../src/index.ts'
import { recordingLogger } from '../../support/lambda.ts'

const database = { host: 'orders.example', port: 5432, user: 'orders_app', database: 'orders' }
const error = new RdsIamError('RDS_IAM_ACCESS_DENIED', 'refused')
const retried = { event: 'connection:retried', code: error.code, attempt: 2, delayMs: 30, error } as const

test('warns at the first refusal of a fresh token, and of no other attempt that is followed by one', () => {
  const logger = recordingLogger()
  for (const refusals of [0, 1, 2])
    emit({ ...database, logger, metrics: undefined }, { ...retried, refusals })
  assert.deepEqual(
    logger.lines.map(({ level }) => level),
    ['debug', 'warn', 'debug'],
  )
  assert.match(String(logger.warnings()), /role's policy \(rds-db:connect/)
  assert.deepEqual(logger.lines[1]?.fields, { ...database, ...retried, refusals: 1 })
})

test('reads nothing of an event that nobody listens to', () => {
  let reads = 0
  const detail = {
    event: 'connection:opened',
    tokenReused: false,
    get durationMs() {
      reads += 1
      return 1
    },
  } as const
  const nobody = { ...database, logger: undefined, metrics: undefined }
  const ofAnother = () => assert.fail('another channel')
  subscribe('middy-rds-iam:connection:closed', ofAnother)
  emit(nobody, detail)
  assert.equal(reads, 0)
  const messages: unknown[] = []
  const listen = (message: unknown) => void messages.push(message)
  subscribe('middy-rds-iam:connection:opened', listen)
  emit(nobody, detail)
  unsubscribe('middy-rds-iam:connection:opened', listen)
  unsubscribe('middy-rds-iam:connection:closed', ofAnother)
  assert.deepEqual(messages, [{ ...database, event: 'connection:opened', tokenReused: false, durationMs: 1 }])
})

test('gives the logger and the channel one and the same object', () => {
  const logger = recordingLogger()
  let message: unknown
  const listen = (published: unknown) => {
    message = published
  }
  subscribe('middy-rds-iam:transaction:rolled-back', listen)
  emit({ ...database, logger, metrics: undefined }, { event: 'transaction:rolled-back' })
  unsubscribe('middy-rds-iam:transaction:rolled-back', listen)
  assert.equal(logger.lines[0]?.fields, message)
})
