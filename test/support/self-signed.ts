import { generateKeyPairSync } from 'node:crypto'
import forge from 'node-forge'
import type { IssuedCertificate } from '../../kit/src/index.ts'

/** A server's certificate that vouches for itself, for certificates that no decent authority would issue. */
export function makeSelfSigned(
  name: string,
  purpose: 'serverAuth' | 'clientAuth' = 'serverAuth',
): IssuedCertificate {
  const keys = makeKeys()
  return {
    cert: sign(name, keys.publicKey, name, keys.privateKey, forServer(name, purpose)),
    key: keys.privateKey,
  }
}

/** A server's certificate and that of the authority below it, whose own authority nobody knows. */
export function makeWithoutRoot(name: string): IssuedCertificate {
  const { cert, key } = makeChain(name)
  return { cert, key }
}

/**
 * A server's certificate and that of the authority below it.
 *
 * @returns Also the authority above the two, and another one that has its name alone.
 */
export function makeChain(
  name: string,
): IssuedCertificate & { readonly root: string; readonly impostor: string } {
  const [own, middle, root, other] = [makeKeys(), makeKeys(), makeKeys(), makeKeys()]
  const authority = [{ name: 'basicConstraints', cA: true, critical: true }]
  const leaf = sign(name, own.publicKey, 'middle', middle.privateKey, forServer(name, 'serverAuth'))
  return {
    cert: leaf + sign('middle', middle.publicKey, 'root', root.privateKey, authority),
    key: own.privateKey,
    root: sign('root', root.publicKey, 'root', root.privateKey, authority),
    impostor: sign('root', other.publicKey, 'root', other.privateKey, authority),
  }
}

function makeKeys() {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
}

const forServer = (name: string, purpose: string): object[] => [
  { name: 'extKeyUsage', [purpose]: true },
  { name: 'subjectAltName', altNames: [{ type: 2, value: name }] },
]

function sign(
  subject: string,
  publicKey: string,
  issuer: string,
  privateKey: string,
  extensions: object[],
): string {
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey)
  certificate.serialNumber = '01'
  certificate.validity.notBefore = new Date(Date.now() - 86_400_000)
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000)
  certificate.setSubject([{ name: 'commonName', value: subject }])
  certificate.setIssuer([{ name: 'commonName', value: issuer }])
  certificate.setExtensions(extensions)
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create())
  return forge.pki.certificateToPem(certificate)
}
