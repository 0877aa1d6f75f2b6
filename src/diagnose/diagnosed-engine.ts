import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { Connect } from '../drivers/driver.ts'
import type { Engine, Settings } from '../options/settings.ts'
import type { DiagnosisReport, DiagnosisStepName } from './diagnosis-report.ts'
import type { Outcome } from './steps.ts'

/** What differs between the engines, on the way to the database and inside it. */
export interface DiagnosisEngine<Connection> {
  readonly name: DiagnosisReport['engine']
  readonly engine: Engine
  createConnect(settings: Settings): Connect<Connection>
  /** Asks the server for TLS as its protocol demands, and gives the TLS options that this needs. */
  requestTls(socket: Socket, settings: Settings): Promise<Pick<ConnectionOptions, 'ALPNProtocols'>>
  /** Runs a query. Every value is a text or null, whatever the driver's options make of values. */
  query: Query<Connection>
  /** The socket of a connection. */
  streamOf(connection: Connection): unknown
  readonly checks: readonly DatabaseCheck[]
}

export type Row = Readonly<Record<string, string | null>>

export type Query<Connection> = (connection: Connection, sql: string) => Promise<readonly Row[]>

/** One check inside the database. */
export interface DatabaseCheck {
  readonly name: DiagnosisStepName
  run(look: Look): Promise<Outcome>
}

/** What a check may use. */
export interface Look {
  readonly settings: Settings
  query(sql: string): Promise<readonly Row[]>
  /** TLS as this end of the connection sees it. */
  readonly tls: TlsSession
}

/** What TLS agreed on. */
export interface TlsSession {
  /** For example `TLSv1.3`. */
  readonly version: string
  /** OpenSSL's name of it, for example `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string
  /** IANA's name of it, for example `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`. */
  readonly standardCipher: string
}
