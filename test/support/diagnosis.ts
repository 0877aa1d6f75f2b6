import assert from 'node:assert/strict'
import { diagnoseMysql } from '../../src/diagnose/diagnose-mysql2.ts'
import { type DiagnosisReport, diagnosePg, formatReport } from '../../src/diagnose/diagnose-pg.ts'
import type { RdsIamOptions } from '../../src/pg.ts'
import { findMysqlKinds, type Gate, useMysql, usePostgres } from './database.ts'

/** All steps, in their order. */
export const stepNames = [
  'options',
  'region',
  'dns',
  'tcp',
  'tls',
  'credentials',
  'token',
  'authentication',
  'session',
  'clock',
  'iam-user',
  'encryption',
  'forced-tls',
  'version',
  'writes',
] as const

export type StepName = (typeof stepNames)[number]

/** A diagnosis, on a server. */
export interface DiagnosisKind {
  /** `PostgreSQL` for example. */
  readonly name: string
  /** With its version: `PostgreSQL 18.4`. */
  readonly server: string
  readonly engine: 'postgres' | 'mysql'
  readonly gate: Gate
  /** The port behind the gateway. */
  readonly port: number
  query(sql: string): Promise<unknown>
  diagnose(options: RdsIamOptions, context?: object): Promise<DiagnosisReport>
}

/** Diagnoses, and looks at the whole report: it is plain data, and no part of a token nor another secret is in it. */
export function checked(
  diagnose: (options: never, context?: object) => Promise<DiagnosisReport>,
): DiagnosisKind['diagnose'] {
  return async (options, context) => {
    const report = await diagnose(options as never, context)
    assert.deepEqual(JSON.parse(JSON.stringify(report)), report)
    assert.deepEqual(
      report.steps.map(({ name }) => name),
      stepNames,
    )
    const { credentials } = options
    const given = typeof credentials === 'object' ? credentials : undefined
    assertNoSecret(JSON.stringify(report), [given?.secretAccessKey, given?.sessionToken])
    assertNoSecret(formatReport(report), [given?.secretAccessKey, given?.sessionToken])
    return report
  }
}

/** @param secrets Texts that must not be there, besides all that a token is made of. */
export function assertNoSecret(text: string, secrets: readonly (string | undefined)[]): void {
  // A signature is 64 of them.
  assert.doesNotMatch(text, /[0-9a-f]{64}|Action=connect&(?!…)|X-Amz-(Signature|Security-Token)=(?!…)/i)
  for (const secret of secrets) {
    if (secret === undefined) continue
    assert.ok(!text.includes(secret) && !text.includes(encodeURIComponent(secret)), 'a secret can be seen')
  }
}

export function stepOf({ steps }: DiagnosisReport, name: StepName) {
  return steps.find(step => step.name === name) ?? assert.fail(`no step ${name}`)
}

/** The names of the steps that ended in some way. */
export function stepsThat({ steps }: DiagnosisReport, status: string): string[] {
  return steps.filter(step => step.status === status).map(({ name }) => name)
}

/** Every engine on every server of this machine. */
export async function useDiagnosisKinds(): Promise<{
  readonly kinds: readonly DiagnosisKind[]
  readonly missing: string
}> {
  const { postgres, gate } = await usePostgres()
  const kinds: DiagnosisKind[] = [
    {
      name: 'PostgreSQL',
      server: `PostgreSQL ${postgres.version}`,
      engine: 'postgres',
      gate,
      port: postgres.port,
      query: sql => postgres.query(sql, 'notes'),
      diagnose: checked(diagnosePg),
    },
  ]
  const { kinds: servers, missing } = findMysqlKinds()
  for (const server of servers) {
    const { mysql, gate } = await useMysql(server)
    kinds.push({
      name: server === 'mysql' ? `MySQL ${mysql.version}` : 'MariaDB',
      server: `${server === 'mysql' ? 'MySQL' : 'MariaDB'} ${mysql.version}`,
      engine: 'mysql',
      gate,
      port: mysql.port,
      query: sql => mysql.query(sql, 'notes'),
      diagnose: checked(diagnoseMysql),
    })
  }
  return { kinds, missing }
}
