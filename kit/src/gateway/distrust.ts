import type { TLSSocket } from 'node:tls'
import type { Gate } from './gate.ts'

/**
 * What clients say who do not trust the certificate: libpq and Python, Go and Java each have an alert of
 * their own. Node.js says nothing, and leaves. OpenSSL's versions differ in what stands before these words.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8446#section-6.2
 */
const alerts = /_ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED)$/

/**
 * Puts it into the decision log, where a TLS handshake ended because the client does not trust the gateway.
 */
export function recordDistrust(gate: Gate, stream: TLSSocket, client: string): void {
  const { code = '' } = (stream.errored ?? {}) as NodeJS.ErrnoException
  const alert = alerts.exec(code)?.[1]?.replaceAll('_', ' ').toLowerCase()
  if (alert === undefined) return
  gate.record(
    { client, user: '', database: '' },
    {
      reason: 'NotTrusted',
      detail: `the client does not trust this gateway's certificate (its TLS alert: ${alert}): give it the authority of this gateway, not that of another one`,
    },
  )
}
