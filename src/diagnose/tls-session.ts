import type { TlsSession } from './diagnosed-engine.ts'
import type { Outcome } from './steps.ts'

/**
 * One spelling for a cipher, whoever names it: wolfSSL, with which MariaDB builds its binary tarballs, has
 * `TLS13-AES256-GCM-SHA384` for `TLS_AES_256_GCM_SHA384`.
 *
 * @see https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-4
 */
function spell(cipher: string): string {
  return cipher.replace(/^TLS(?:13)?[-_]/, '').replace(/[-_]/g, '')
}

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
  const isSameCipher = [own.cipher, own.standardCipher].map(spell).includes(spell(server?.cipher ?? ''))
  if (server?.version === own.version && isSameCipher)
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
