const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Finds the certificates in a text, each as PEM. */
export function splitPem(text: string): readonly string[] {
  return text.match(pemCertificate) ?? []
}

/**
 * Says what is wrong with a text that should hold certificates; `undefined` if it is right. The clause shows
 * nothing of a secret.
 *
 * @example pemProblem('./ca.pem') // 'is a path ("./ca.pem"); pass the text of the file'
 */
export function pemProblem(text: string): string | undefined {
  if (text.includes('PRIVATE KEY')) return 'holds a private key, which does not belong here'
  const certificates = splitPem(text)
  if (certificates.length === 0) {
    const isPath = text.length < 300 && /^[\w.~/\\:-]+\.\w{2,4}$/.test(text)
    return isPath
      ? `is a path ("${text}"); pass the text of the file`
      : `holds no certificate; got a text of ${text.length} characters`
  }
  // An ES import of the module would load Web Crypto too, a millisecond of a cold start.
  const { X509Certificate } = process.getBuiltinModule('node:crypto')
  for (const [index, pem] of certificates.entries()) {
    try {
      new X509Certificate(pem)
    } catch {
      return `holds a certificate that cannot be read, number ${index + 1} of ${certificates.length}`
    }
  }
  return undefined
}
