import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { Endpoint } from '../identifiers/endpoint.ts'
import { caBundleOf } from '../identifiers/region.ts'
import { pemProblem, splitPem } from './pem.ts'

/** What decides which certificate authorities are trusted. */
export interface TrustSettings {
  readonly region: string
  /** Whether the server may be in any Region, so that the authorities of all of them are trusted. */
  readonly everyRegion?: boolean | undefined
  readonly endpoint: Endpoint
  /** The authorities that the user adds, each as PEM. */
  readonly ca: readonly string[]
  /** The file that `NODE_EXTRA_CA_CERTS` names. */
  readonly extraCaFile: string | undefined
  /** Files of authorities that the environment adds, a development server's for example. */
  readonly caFiles?: readonly CaFile[] | undefined
}

/** A file that an environment variable names. */
export interface CaFile {
  /** For example `PGSSLROOTCERT`. */
  readonly variable: string
  readonly path: string
}

/**
 * The file with the certificate authorities of Amazon RDS that Lambda's managed Node.js runtimes bring. A
 * container image has no such file.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html
 */
const runtimeCaFile = '/var/runtime/ca-cert.pem'

/**
 * Loads the certificate authorities to trust for a database, each as PEM: those of Amazon RDS in its Region,
 * those of Amazon Trust Services, and those that the user adds. RDS Proxy and Aurora Serverless v1 have their
 * certificates from Amazon Trust Services. Those of other Regions are left out, because every authority costs
 * time in each new TLS context.
 *
 * If this package carries none for the Region, they come from Lambda's runtime or from `NODE_EXTRA_CA_CERTS`. If
 * nothing has any for it, those of Amazon Trust Services are trusted alone, and `tellMissing` is told how to go
 * on: whoever has a certificate of another authority is refused, as always.
 *
 * @param tellMissing Is given the remedy.
 * @throws {RdsIamError} `RDS_IAM_TRUST` if a bundle leaves the authorities out, and nothing takes their place.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.howitworks.html#rds-proxy-security
 */
export async function loadRoots(
  settings: TrustSettings,
  runtimeFile = runtimeCaFile,
  tellMissing: TellMissing = warnOfMissing,
): Promise<readonly string[]> {
  const carried = await loadCarriedRoots(settings)
  const isEnough = carried.rds.length > 0 && settings.everyRegion !== true
  const rds = isEnough ? carried.rds : unite(carried.rds, readRegionRoots(settings, runtimeFile))
  const added = [...settings.ca, ...readCaFiles(settings.caFiles ?? [])]
  const isProxy = /\.proxy-[^.]+\./.test(settings.endpoint.host)
  if (rds.length === 0 && added.length === 0 && !isProxy) {
    if (!carried.isThere) throw noRoots(settings)
    tellMissing(remedyFor(settings))
  }
  return [...rds, ...carried.amazon, ...added]
}

/** Told how to go on where no authorities of Amazon RDS are known for a Region. */
export type TellMissing = (remedy: string) => void

function warnOfMissing(remedy: string): void {
  process.emitWarning(remedy, { type: 'RdsIamWarning', code: 'RDS_IAM_TRUST' })
}

/** Reads what the environment adds. A file that adds nothing is a mistake that nobody else would find. */
function readCaFiles(files: readonly CaFile[]): readonly string[] {
  return files.flatMap(({ variable, path }) => {
    const text = readText(path, cause => {
      throw wrongCaFile(variable, `names a file that cannot be read: ${cause.message}`, cause)
    })
    const problem = pemProblem(text)
    if (problem !== undefined) throw wrongCaFile(variable, `names a file (${path}) that ${problem}`)
    return splitPem(text)
  })
}

/**
 * Not by node:fs/promises: a new process loads that module and a thread for five milliseconds, and reads these
 * 120 KB, once, in a tenth of one.
 */
function readText(path: string, ifUnreadable: (cause: Error) => string): string {
  try {
    return process.getBuiltinModule('node:fs').readFileSync(path, 'latin1')
  } catch (cause) {
    return ifUnreadable(cause as Error)
  }
}

function wrongCaFile(variable: string, problem: string, cause?: unknown): RdsIamError {
  return new RdsIamError('RDS_IAM_TRUST', `The environment variable ${variable} ${problem}.`, {
    cause,
    remedy: 'Have it name a file of certificates in PEM, or unset it.',
  })
}

async function loadCarriedRoots({
  region,
  everyRegion,
}: TrustSettings): Promise<{ rds: readonly string[]; amazon: readonly string[]; isThere: boolean }> {
  try {
    // Not `middy-rds-iam/roots`, which is the same: esbuild leaves out whatever begins with an external name,
    // and with that one also `middy-rds-iam/roots/eu-west-1`.
    const { amazonRoots, loadRegionRoots, regions } = await import('middy-rds-iam/roots/index')
    const wanted = everyRegion === true ? regions : [region]
    const rds = await Promise.all(wanted.map(name => loadRegionRoots(name)))
    return { rds: rds.flat(), amazon: amazonRoots, isThere: true }
  } catch (error) {
    // A bundle may leave the module out, because the runtime brings the same certificates, or `tls.ca` does.
    if (!isMissingModule(error)) throw error
    const { rootCertificates } = process.getBuiltinModule('node:tls')
    return {
      rds: [],
      isThere: false,
      amazon: rootCertificates.filter(pem => names(pem, ['Amazon Root CA ', 'Starfield Services Root'])),
    }
  }
}

/** Reads the Region's own authorities, or those of every Region, from the first file that has any. */
function readRegionRoots(
  { region, everyRegion, extraCaFile }: TrustSettings,
  runtimeFile: string,
): readonly string[] {
  for (const file of [runtimeFile, extraCaFile]) {
    const text = file === undefined ? '' : readText(file, () => '')
    const certificates = splitPem(text)
    const isWanted = (pem: string) =>
      everyRegion === true
        ? names(pem, ['Amazon RDS ']) && !names(pem, ['Amazon RDS Beta ', 'Amazon RDS Preview '])
        : names(pem, [`Amazon RDS ${region} `])
    const wanted = certificates.filter(isWanted)
    if (wanted.length > 0) return wanted
    // The operator's file may hold an authority with another name, a local gateway's for example.
    if (file === extraCaFile && certificates.length > 0) return certificates
  }
  return []
}

/** Each authority once, however its lines are broken. */
function unite(...lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Map(lists.flat().map(pem => [pem.replace(/\s/g, ''), pem])).values()]
}

/**
 * Whether a certificate has one of the texts in its subject or issuer, which are the same for a root.
 * Searching the bytes is far cheaper than parsing them.
 */
function names(pem: string, texts: readonly string[]): boolean {
  const der = Buffer.from(pem.replace(/-----[A-Z ]+-----/g, ''), 'base64')
  return texts.some(text => der.includes(text, 0, 'latin1'))
}

function isMissingModule(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
}

function noRoots({ region, endpoint }: TrustSettings): RdsIamError {
  return new RdsIamError(
    'RDS_IAM_TRUST',
    `No certificate authorities of Amazon RDS are there for ${region} (${endpoint.host}): the bundle leaves those of this package out, ` +
      `and neither ${runtimeCaFile} nor NODE_EXTRA_CA_CERTS gives any.`,
    { remedy: `Pass the text of ${caBundleOf(region)} as \`tls.ca\`.` },
  )
}

function remedyFor({ region, endpoint }: TrustSettings): string {
  return (
    `No certificate authorities of Amazon RDS are known for ${region} (${endpoint.host}): this package carries none for that Region, ` +
    `and neither ${runtimeCaFile} nor NODE_EXTRA_CA_CERTS gives any. Only those of Amazon Trust Services are trusted. If the server is ` +
    `refused, pass the text of ${caBundleOf(region)} as \`tls.ca\` (on the command line, its file by \`--ca-file\`).`
  )
}
