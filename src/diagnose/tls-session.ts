import type { TlsSession } from './diagnosed-engine.ts'
import type { Outcome } from './steps.ts'

/**
 * Compares TLS as this end sees it with TLS as the server sees it. The two differ if a proxy or a gateway in
 * between ends one TLS connection and opens another.
 *
 * @param server What the server says; `undefined` if it says that there is no TLS.
 */
export function compareSessions(
  own: TlsSession,
  server:
    | { readonly version?: string | null | undefined; readonly cipher?: string | null | undefined }
    | undefined,
): Outcome {
  const details = {
    version: own.version,
    cipher: own.cipher,
    serverVersion: server?.version ?? undefined,
    serverCipher: server?.cipher ?? undefined,
  }
  if (server?.version === own.version && server.cipher === own.cipher)
    return {
      finding: `${own.version}, ${own.cipher}, and the server says the same`,
      details,
      value: undefined,
    }
  const said = server === undefined ? 'no TLS' : `${server.version}, ${server.cipher}`
  return {
    finding: `${own.version}, ${own.cipher} from here; the server says ${said}, so a proxy or a gateway stands in between`,
    details,
    value: undefined,
  }
}
