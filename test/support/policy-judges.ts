import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

/** A policy, and the user it is asked about. */
export interface PolicyQuestion {
  readonly policy: unknown
  readonly arn: string
}

/** What moto makes of a policy. */
export interface MotoVerdict {
  readonly valid: boolean
  /** Its error, where the policy is not valid. */
  readonly why?: string
  readonly permitted: boolean
}

/** What a role's session and its request have, by condition key. */
export type PolicyContext = Readonly<Record<string, string>>

/**
 * moto, a re-implementation of AWS in Python, asked about many policies in one process; `undefined` where it is
 * not installed.
 */
export function findMoto(): ((questions: readonly PolicyQuestion[]) => readonly MotoVerdict[]) | undefined {
  const python = join(root, '.local', 'moto', 'bin', 'python')
  if (!existsSync(python)) return undefined
  const script = join(import.meta.dirname, 'moto-judge.py')
  return questions => {
    const input = JSON.stringify(
      questions.map(({ policy, arn }) => ({
        policy: JSON.stringify(policy),
        action: 'rds-db:connect',
        resource: arn,
      })),
    )
    const output = execFileSync(python, [script], { input, encoding: 'utf8', maxBuffer: 2 ** 28 })
    return JSON.parse(output) as MotoVerdict[]
  }
}

/**
 * iam-simulate of Cloud Copilot, which evaluates variables and conditions too; `undefined` where it is not
 * installed.
 */
export function findSimulator(): ((question: PolicyQuestion, context: PolicyContext) => boolean) | undefined {
  const folder = join(root, '.local', 'iam-simulate')
  if (!existsSync(join(folder, 'node_modules'))) return undefined
  const { runUnsafeSimulation } = createRequire(join(folder, 'package.json'))('@cloud-copilot/iam-simulate')
  return ({ policy, arn }, contextVariables) => {
    const request = {
      principal: 'arn:aws:sts::123456789012:assumed-role/orders/session',
      action: 'rds-db:connect',
      resource: { resource: arn, accountId: '123456789012' },
      contextVariables,
    }
    const policies = { serviceControlPolicies: [], resourceControlPolicies: [] }
    const simulation = { request, identityPolicies: [{ name: 'policy', policy }], ...policies }
    return runUnsafeSimulation(simulation, {}) === 'Allowed'
  }
}
