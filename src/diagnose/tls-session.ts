import type { TlsSession } from './diagnosed-engine.ts'
import type { Outcome } from './steps.ts'

/**
 * Compares this end of the connection with what the server says of its own: they differ where a proxy or a gateway ends TLS in between.
 *
 * @param server What the server says, or nothing where it says that there is no TLS.
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
