import type { TLSSocket } from 'node:tls'
import type { Gate } from './gate.ts'

/**
 * What clients say who do not trust the certificate: OpenSSL's libpq and Python, Go and Java each have an alert
 * of their own. Node.js says nothing, and leaves.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8446#section-6.2
 */
const alerts: Readonly<Record<string, string>> = {
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'unknown ca',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'bad certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'certificate unknown',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'certificate expired',
}

/** Puts it into the decision log, where a TLS handshake ended because the client does not trust the gateway. */
export function recordDistrust(gate: Gate, stream: TLSSocket, client: string): void {
  const { code = '' } = (stream.errored ?? {}) as NodeJS.ErrnoException
  const alert = alerts[code]
  if (alert === undefined) return
  gate.record(
    { client, user: '', database: '' },
    {
      reason: 'NotTrusted',
      detail: `the client does not trust this gateway's certificate (its TLS alert: ${alert}): give it the authority of this gateway, not that of another one`,
    },
  )
}
