import { generateKeyPair, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { isIpAddress } from 'middy-rds-iam/identifiers'
import forge from 'node-forge'

/** A certificate and its private key, both PEM. */
export interface IssuedCertificate {
  /** The certificate, then its authority's, as a server presents them. */
  readonly cert: string
  readonly key: string
}

/** A certificate authority of its own; its private key is in memory only. */
export interface Authority {
  /** The authority's certificate, PEM: what clients are told to trust. */
  readonly ca: string
  /**
   * Issues a server's certificate.
   *
   * @param subject `names`: DNS names and IP addresses, for example `['localhost', '127.0.0.1']`;
   * `notBefore`: by default a day ago; `notAfter`: by default in 30 days.
   */
  issue(subject: {
    readonly names: readonly string[]
    readonly notBefore?: Date
    readonly notAfter?: Date
  }): Promise<IssuedCertificate>
}

const dayMs = 86_400_000
const generateKeys = promisify(generateKeyPair)

/**
 * Makes a certificate authority.
 *
 * @param name The common name of its certificate, for example `'RDS IAM gateway'`.
 */
export async function makeAuthority(name = 'RDS IAM gateway'): Promise<Authority> {
  const keys = await makeKeys()
  const issuer = [
    { name: 'organizationName', value: 'rds-iam-kit, for local development' },
    { name: 'commonName', value: `${name} CA` },
  ]
  const authority = prepare(keys, new Date(Date.now() - dayMs), new Date(Date.now() + 30 * dayMs))
  authority.setSubject(issuer)
  authority.setIssuer(issuer)
  authority.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ])
  authority.sign(keys.privateKey, forge.md.sha256.create())
  const ca = forge.pki.certificateToPem(authority)
  const keyIdentifier = authority.generateSubjectKeyIdentifier().getBytes()

  return {
    ca,
    async issue({ names, notBefore, notAfter }) {
      const own = await makeKeys()
      const leaf = prepare(
        own,
        notBefore ?? new Date(Date.now() - dayMs),
        notAfter ?? new Date(Date.now() + 30 * dayMs),
      )
      leaf.setSubject([{ name: 'commonName', value: name }])
      leaf.setIssuer(issuer)
      leaf.setExtensions([
        { name: 'basicConstraints', cA: false, critical: true },
        { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
        { name: 'extKeyUsage', serverAuth: true },
        {
          name: 'subjectAltName',
          altNames: [...new Set(names)].map(value =>
            isIpAddress(value) ? { type: 7, ip: value } : { type: 2, value },
          ),
        },
        { name: 'subjectKeyIdentifier' },
        { name: 'authorityKeyIdentifier', keyIdentifier },
      ])
      leaf.sign(keys.privateKey, forge.md.sha256.create())
      return { cert: `${forge.pki.certificateToPem(leaf)}${ca}`, key: own.pem }
    },
  }
}

interface Keys {
  readonly pem: string
  readonly publicKey: forge.pki.rsa.PublicKey
  readonly privateKey: forge.pki.rsa.PrivateKey
}

/** By node:crypto off the main thread: forge's own generator takes seconds. */
async function makeKeys(): Promise<Keys> {
  const { publicKey, privateKey } = await generateKeys('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
  return {
    pem: privateKey,
    publicKey: forge.pki.publicKeyFromPem(publicKey),
    privateKey: forge.pki.privateKeyFromPem(privateKey),
  }
}

function prepare(keys: Keys, notBefore: Date, notAfter: Date): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = keys.publicKey
  // A serial number is positive: the first byte must not have its highest bit set.
  certificate.serialNumber = `01${randomBytes(15).toString('hex')}`
  certificate.validity.notBefore = notBefore
  certificate.validity.notAfter = notAfter
  return certificate
}
