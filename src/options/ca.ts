import { pemProblem, splitPem } from '../trust/pem.ts'
import { type Checks, show } from './checks.ts'

/** Reads the option `tls`: the authorities that the user adds, each as PEM. */
export function readCa(checks: Checks, tls: unknown): readonly string[] {
  const given = checks.object('tls', tls, 'of the form { ca? }') ?? {}
  checks.known(given, ['ca'], 'tls.', () => 'TLS is always verified, and only `tls.ca` can add trust')
  const { ca } = given
  const entries: readonly unknown[] = ca === undefined ? [] : Array.isArray(ca) ? ca : [ca]
  return entries.flatMap((entry, index) => {
    const name = Array.isArray(ca) ? `tls.ca[${index}]` : 'tls.ca'
    const text = entry instanceof Uint8Array ? Buffer.from(entry).toString('latin1') : entry
    const problem = typeof text === 'string' ? pemProblem(text) : `is not a text in PEM; got ${show(text)}`
    if (problem !== undefined) checks.complain(name, problem)
    return typeof text === 'string' ? splitPem(text) : []
  })
}
