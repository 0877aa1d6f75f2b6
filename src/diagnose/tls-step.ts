import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { type Attempt, findExplanation } from '../errors/explain.ts'
import type { Settings } from '../options/settings.ts'
import type { VerifiedTls } from '../trust/verified-tls.ts'
import type { DiagnosisEngine } from './diagnosed-engine.ts'
import type { DiagnosisDetails } from './diagnosis-report.ts'
import { type Outcome, StepFailure } from './steps.ts'
import { type TimeLimit, TimeOver, withinLimit } from './time-limit.ts'

/** RDS renews certificates long before their end. One that is this near to its end was forgotten. */
const warnBeforeEndMs = 7 * 86_400_000

/** What the step needs. */
interface TlsAttempt {
  readonly socket: Socket
  readonly tls: VerifiedTls
  readonly settings: Settings
  readonly attempt: Attempt
  readonly limit: TimeLimit
}

/**
 * Makes a TLS connection, verified as in the middleware, reads the certificate that the server presents, and
 * ends it.
 */
export async function verifyServer(
  engine: Pick<DiagnosisEngine<never>, 'name' | 'requestTls'>,
  { socket, tls, settings, attempt, limit }: TlsAttempt,
): Promise<Outcome> {
  let presented: DetailedPeerCertificate | undefined
  const handshake = async (): Promise<TLSSocket> => {
    const protocol = await engine.requestTls(socket, settings)
    const secure = connect({ ...tls, ...protocol, socket })
    secure.on('error', () => {})
    // Node forgets the certificate of a server that it refuses, so this listener reads it before Node
    // decides. It changes nothing about the decision.
    secure.prependListener('secure', () => {
      presented = secure.getPeerCertificate(true)
    })
    await once(secure, 'secureConnect')
    return secure
  }
  try {
    const secure = await withinLimit(handshake(), limit, 'no answer to the request for TLS')
    return describeServer(secure, presented ?? secure.getPeerCertificate(true))
  } catch (error) {
    if (error instanceof StepFailure) throw error
    const { code, observed, remedy } = findExplanation(error, attempt)
    const server = presented?.subject === undefined ? undefined : readCertificate(presented)
    const finding =
      server === undefined
        ? observed
        : `${observed}; the server presents ${server.subject} by ${server.issuer}, for ${list(server.names)}, ` +
          `valid from ${server.validFrom} to ${server.validTo}`
    throw new StepFailure(
      { code, observed: finding, remedy: error instanceof TimeOver ? silence[engine.name] : remedy },
      server === undefined ? undefined : { ...server },
    )
  } finally {
    socket.destroy()
  }
}

const silent =
  'Something takes connections there and says nothing. A tunnel does so before it reaches the database: check its far end, and the ' +
  "security groups between that and the database. Else check that the port is the database's own."

/** A client of MySQL waits for the server's greeting. */
const silence: Readonly<Record<DiagnosisEngine<never>['name'], string>> = {
  postgres: silent,
  mysql: `${silent} PostgreSQL, too, says nothing to a client of MySQL: for it, use \`diagnosePg\` (on the command line \`--engine postgres\`).`,
}

function describeServer(secure: TLSSocket, certificate: DetailedPeerCertificate): Outcome {
  const server = readCertificate(certificate)
  const version = secure.getProtocol() ?? ''
  const cipher = secure.getCipher().name
  const leftMs = Date.parse(server.validTo) - Date.now()
  const finding =
    `${version}, ${cipher}; ${server.subject} by ${server.issuer}, for ${list(server.names)}, ` +
    `valid to ${server.validTo.slice(0, 10)} (${Math.floor(leftMs / 86_400_000)} days)`
  const details: DiagnosisDetails = { version, cipher, ...server }
  if (leftMs >= warnBeforeEndMs) return { finding, details, value: undefined }
  const remedy = 'Rotate the certificate of the database instance before it ends.'
  return { status: 'warning', finding, remedy, details, value: undefined }
}

function readCertificate(certificate: DetailedPeerCertificate) {
  const chain: string[] = []
  // The last certificate of the chain is its own issuer.
  for (
    let link: DetailedPeerCertificate | undefined = certificate;
    link?.subject !== undefined;
    link = link.issuerCertificate
  ) {
    const name = nameOf(link.subject)
    if (chain.includes(name)) break
    chain.push(name)
  }
  return {
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    names: [...(certificate.subjectaltname ?? '').matchAll(/(?:DNS|IP Address):([^,]+)/g)].map(
      ([, name = '']) => name,
    ),
    chain,
    validFrom: new Date(certificate.valid_from).toISOString(),
    validTo: new Date(certificate.valid_to).toISOString(),
  }
}

function nameOf({ CN, O }: Partial<DetailedPeerCertificate['subject']> = {}): string {
  return [CN ?? O ?? 'a certificate without a name'].flat().join(', ')
}

/** Lists the first three names: a proxy's certificate may have many. */
function list(names: readonly string[]): string {
  const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
  return names.length === 0 ? 'no name' : `${names.slice(0, 3).join(', ')}${more}`
}
