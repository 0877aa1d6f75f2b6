import { createPrivateKey, generateKeyPair, randomBytes, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import { isIpAddress } from 'middy-rds-iam/identifiers'
import forge from 'node-forge'

/**
 * A certificate and its private key, both PEM.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:tls'
 *
 * const authority = await makeAuthority()
 * const { cert, key }: IssuedCertificate = await authority.issue({ names: ['localhost'] })
 * createServer({ cert, key })
 * ```
 */
export interface IssuedCertificate {
  /** The certificate, then its authority's, as a server presents them. */
  readonly cert: string
  /** The private key, of RSA. */
  readonly key: string
}

/**
 * A certificate authority of its own.
 *
 * @example
 * ```ts
 * const authority: Authority = await makeAuthority('Orders test')
 * const { cert } = await authority.issue({ names: ['localhost', '127.0.0.1'] })
 * ```
 */
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
const leafMs = 30 * dayMs
const generateKeys = promisify(generateKeyPair)

/**
 * Makes a certificate authority.
 *
 * @param name The common name of its certificate, for example `'RDS IAM gateway'`.
 * @example const { ca, issue } = await makeAuthority('Orders test')
 */
export async function makeAuthority(name = 'RDS IAM gateway'): Promise<Authority> {
  return openAuthority(await makeAuthorityPem(name))
}

/**
 * Makes the text of an authority, its private key included, for {@link openAuthority}. It is valid for ten
 * years: whoever keeps it does not want to tell clients of another one.
 *
 * @internal
 */
export async function makeAuthorityPem(name: string): Promise<string> {
  const keys = await makeKeys()
  const issuer = [
    { name: 'organizationName', value: 'rds-iam-kit, for local development' },
    { name: 'commonName', value: `${name} CA` },
  ]
  const authority = prepare(keys, new Date(Date.now() - dayMs), new Date(Date.now() + 3650 * dayMs))
  authority.setSubject(issuer)
  authority.setIssuer(issuer)
  authority.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ])
  authority.sign(keys.privateKey, forge.md.sha256.create())
  return `${toPem(authority)}${keys.pem}`
}

/**
 * Reads an authority with its private key.
 *
 * @throws {Error} With a clause that says what is wrong with it: `ends on …`, for example.
 * @internal
 */
export function openAuthority(pem: string): Authority {
  const { ca, key } = readPair(withLineFeeds(pem))
  const privateKey = forge.pki.privateKeyFromPem(key)
  const authority = forge.pki.certificateFromPem(ca)
  const keyIdentifier = authority.generateSubjectKeyIdentifier().getBytes()
  const name = String(authority.subject.getField('CN').value).replace(/ CA$/, '')

  return {
    ca,
    async issue({ names, notBefore, notAfter }) {
      const own = await makeKeys()
      const leaf = prepare(
        own,
        notBefore ?? new Date(Date.now() - dayMs),
        notAfter ?? new Date(Date.now() + leafMs),
      )
      leaf.setSubject([{ name: 'commonName', value: name }])
      leaf.setIssuer(authority.subject.attributes)
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
      leaf.sign(privateKey, forge.md.sha256.create())
      return { cert: `${toPem(leaf)}${ca}`, key: own.pem }
    },
  }
}

function readPair(pem: string): { readonly ca: string; readonly key: string } {
  const [ca] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(pem) ?? []
  const [key] = /-----BEGIN RSA PRIVATE KEY-----[^-]+-----END RSA PRIVATE KEY-----\n/.exec(pem) ?? []
  if (ca === undefined || key === undefined) throw new Error('is not a certificate and its private key')
  let isPair: boolean
  let end: Date
  try {
    const certificate = new X509Certificate(ca)
    isPair = certificate.ca && certificate.checkPrivateKey(createPrivateKey(key))
    end = new Date(certificate.validTo)
  } catch {
    throw new Error('cannot be read')
  }
  if (!isPair) throw new Error('is not an authority and its own private key')
  // What it issues would outlive it.
  if (end.getTime() < Date.now() + leafMs) throw new Error(`ends on ${end.toISOString().slice(0, 10)}`)
  return { ca, key }
}

const toPem = (certificate: forge.pki.Certificate): string =>
  withLineFeeds(forge.pki.certificateToPem(certificate))

/** The line ends of forge are those of e-mail, which no other tool has. */
const withLineFeeds = (text: string): string => text.replaceAll('\r\n', '\n')

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
