import { after } from 'node:test'
import { createConnection } from 'mysql2/promise'
import type { MysqlKind } from '../../../kit/src/database/mysql.ts'
import { createPostgresDatabase } from '../../../kit/src/database/postgres-database.ts'
import { buildFunction } from '../../../local/build-function.ts'
import { type FunctionProcess, startFunction } from '../../../local/function-process.ts'
import type { Invocation } from '../../../local/runtime-api.ts'
import { standInIdentity } from '../../../local/stack.ts'
import { type FunctionName, readTemplate } from '../../../local/template.ts'
import { hasMembershipOptions } from '../../support/capabilities.ts'
import { type RdsFront, startRdsFront } from '../../support/rds-front.ts'
import { startMysql, startPostgres } from '../../support/servers.ts'
import { type Aws, type StackAnswer, startAws } from './aws.ts'

export type ServerName = 'postgres' | MysqlKind

/** A server with a master user as that of Amazon RDS: no superuser, and with a password. */
export interface MasterServer {
  readonly engine: 'postgres' | 'mysql'
  readonly port: number
  /** As the superuser of this machine's server. */
  query(sql: string, database?: string): Promise<Record<string, unknown>[]>
  stop(): Promise<unknown>
}

/** Every character of it would come apart somewhere, were it not passed on as it is. */
export const password = `p4ss"w\\o'rd $of the% master`
export const master = 'notes_admin'
export const secretArn = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:notes-AbCdEf'
export const stackId =
  'arn:aws:cloudformation:eu-west-1:123456789012:stack/notes/11111111-2222-3333-4444-555555555555'

export async function startMasterServer(name: ServerName): Promise<MasterServer> {
  const server: MasterServer =
    name === 'postgres'
      ? { engine: 'postgres', ...(await startPostgres()) }
      : { engine: 'mysql', ...(await startMysql({ kind: name })) }
  await (name === 'postgres' ? preparePostgres : prepareMysql)(server)
  return server
}

async function preparePostgres({ query }: MasterServer): Promise<void> {
  const secret = `'${password.replaceAll("'", "''")}'`
  await query(`CREATE ROLE ${master} LOGIN CREATEROLE CREATEDB PASSWORD ${secret}`)
  // Everybody else is trusted: only the master user is to come with a password.
  await query(`SET standard_conforming_strings = on;
    CREATE TEMP TABLE hba (id serial, line text);
    INSERT INTO hba (line) VALUES ('host all ${master} 127.0.0.1/32 scram-sha-256'), ('host all all 127.0.0.1/32 trust');
    DO $$ BEGIN EXECUTE format('COPY (SELECT line FROM hba ORDER BY id) TO %L', current_setting('hba_file')); END $$;
    SELECT pg_reload_conf()`)
  for (const database of ['notes', 'other']) {
    await createPostgresDatabase({ query }, database)
    await query(`ALTER DATABASE ${database} OWNER TO ${master}`)
  }
  if (await hasMembershipOptions(query))
    await query(`GRANT rds_iam TO ${master} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`)
}

// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.MasterAccounts.html, as far as MySQL 5.6 knows them.
const masterPrivileges =
  'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES, CREATE TEMPORARY TABLES, ' +
  'LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER'

async function prepareMysql({ query, port }: MasterServer): Promise<void> {
  for (const database of ['notes', 'other']) await query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`)
  const secret = `'${password.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
  await query(`CREATE USER '${master}'@'%' IDENTIFIED BY ${secret}`)
  await query(`GRANT ${masterPrivileges} ON *.* TO '${master}'@'%' WITH GRANT OPTION`)
  // MySQL 8 and newer want to see a password once, over TLS of their own or encrypted, which the front's is not.
  await (await createConnection({ host: '127.0.0.1', port, user: master, password })).end()
}

/** Bundles both functions, as `template.yaml` says. */
export async function buildFunctions(): Promise<Readonly<Record<'outer' | 'inner', string>>> {
  const { Resources } = readTemplate()
  const [outer, inner] = await Promise.all(
    (['DatabaseUserFunction', 'DatabaseUserSqlFunction'] as const).map(name =>
      buildFunction(name, Resources[name]),
    ),
  )
  return { outer: outer as string, inner: inner as string }
}

/** The custom resource in front of a server, both of its functions in processes of their own. */
export interface CustomResource {
  readonly aws: Aws
  readonly front: RdsFront
  /** The properties that `template.yaml` gives, for this server. */
  readonly properties: Properties
  /**
   * Asks as CloudFormation does, which changes the functions first: to what the properties say that are asked
   * for.
   */
  send(request: Partial<StackRequest>, options?: SendOptions): Promise<StackAnswer['body']>
  /** Has CloudFormation tell of a request what it tells of each that it sends, and of its end. */
  tellProgress(
    request: Partial<StackRequest> & Pick<StackRequest, 'RequestType'>,
    progress: 'IN_PROGRESS' | 'COMPLETE' | 'FAILED',
  ): void
  /**
   * What came of the event alone, whether or not anybody was answered. CloudFormation tells nothing of it: who
   * makes a request up can change no stack.
   */
  invoke(event: unknown): Promise<Invocation>
  /** Starts another function for the SQL: what is changed is its environment variables and the time that Lambda gives it. */
  startInner(environment?: Readonly<Record<string, string>>, timeoutMs?: number): Promise<FunctionProcess>
  /** All that both functions wrote. */
  logs(): string
  /** The events that the function for the SQL got. */
  readonly tasks: readonly unknown[]
  /** Calling it again is fine. */
  close(): Promise<void>
}

export type Properties = Readonly<Record<string, unknown>>

export interface SendOptions {
  /** The time that Lambda gives the function. */
  readonly timeoutMs?: number
  /** What the template says in place of what is asked for. */
  readonly template?: Properties
  /** The resource's name in the template. @default 'NotesUser' */
  readonly resource?: string
}

export interface StackRequest {
  readonly RequestType: string
  readonly ResponseURL: string
  readonly RequestId: string
  readonly LogicalResourceId: string
  readonly StackId: string
  readonly PhysicalResourceId: string
  readonly ResourceProperties: Properties
  readonly OldResourceProperties: Properties
}

/** A server, and the custom resource at it, both stopped after the test file's last test. */
export async function openCustomResource(
  name: ServerName,
  folders: Readonly<Record<'outer' | 'inner', string>>,
): Promise<{ readonly server: MasterServer; readonly resource: CustomResource }> {
  const server = await startMasterServer(name)
  const resource = await startCustomResource(server, folders)
  after(async () => {
    await resource.close()
    await server.stop()
  })
  return { server, resource }
}

export async function startCustomResource(
  server: Pick<MasterServer, 'engine' | 'port'>,
  folders: Readonly<Record<'outer' | 'inner', string>>,
): Promise<CustomResource> {
  const [aws, front] = await Promise.all([startAws(), startRdsFront(server.engine, server.port)])
  aws.secrets.set(secretArn, JSON.stringify({ username: master, password }))
  const processes: FunctionProcess[] = []
  const tasks: unknown[] = []
  const start = async (
    name: FunctionName,
    folder: string,
    environment: Readonly<Record<string, string>>,
  ): Promise<FunctionProcess> => {
    const { Handler, MemorySize, Timeout } = readTemplate().Resources[name].Properties
    const timeoutMs = Timeout * 1000
    const made = await startFunction({
      name,
      folder,
      handler: Handler,
      memorySize: MemorySize,
      timeoutMs,
      environment,
    })
    processes.push(made)
    return made
  }
  const properties = { ...readProperties(server.engine), Port: String(front.port) }
  /** Starts a function anew where its environment variables are to be other ones, as an update of the stack does. */
  const keepRunning = (name: FunctionName, folder: string) => {
    let current: { readonly process: FunctionProcess; readonly key: string } | undefined
    return async (environment: Readonly<Record<string, string>>): Promise<FunctionProcess> => {
      const key = JSON.stringify(environment)
      if (current?.key === key) return current.process
      await current?.process.stop()
      current = { key, process: await start(name, folder, environment) }
      return current.process
    }
  }
  const runOuter = keepRunning('DatabaseUserFunction', folders.outer)
  const updateOuter = (template: Properties, LOGICAL_RESOURCE_ID = 'NotesUser') => {
    const own = { ...variablesOf(template), LOGICAL_RESOURCE_ID }
    return runOuter({ ...standInIdentity, ...aws.environment, SQL_FUNCTION: 'sql', ...own })
  }
  const runInner = keepRunning('DatabaseUserSqlFunction', folders.inner)
  let innerChanges: Readonly<Record<string, string>> = {}
  let innerTimeoutMs: number | undefined
  const updateInner = async ({ Host, Port }: Properties): Promise<FunctionProcess> => {
    // A Region, and no credentials: it has no permission that they could give it.
    const own = { AWS_REGION: standInIdentity.AWS_REGION, DATABASE_CA: front.ca, STACK_ID: stackId }
    const address = { DATABASE_HOST: String(Host), DATABASE_PORT: String(Port) }
    return runInner({ ...own, ...address, ...innerChanges })
  }
  const inner = async (event: unknown): Promise<Invocation> => {
    tasks.push(event)
    const process = await updateInner(template)
    return process.invoke(event, innerTimeoutMs === undefined ? {} : { timeoutMs: innerTimeoutMs })
  }
  const startInner: CustomResource['startInner'] = async (environment = {}, timeoutMs) => {
    // Another variable, so that it is started anew in any case.
    innerChanges = { ...environment, STARTED_AS: String(processes.length) }
    innerTimeoutMs = timeoutMs
    aws.functions.set('sql', inner)
    return updateInner(template)
  }
  const tellProgress: CustomResource['tellProgress'] = (
    { RequestType, StackId = stackId, LogicalResourceId = 'NotesUser', PhysicalResourceId = '' },
    progress,
  ) => {
    const ResourceStatus = `${RequestType.toUpperCase()}_${progress}`
    aws.stackEvents.unshift({ StackId, LogicalResourceId, PhysicalResourceId, ResourceStatus })
  }
  let template: Properties = properties
  await startInner()
  await updateOuter(template)
  let requests = 0
  let closing: Promise<void> | undefined
  return {
    aws,
    front,
    properties,
    tasks,
    startInner,
    tellProgress,
    async send(request, { timeoutMs, template: given, resource } = {}) {
      requests += 1
      const event = {
        RequestType: 'Create',
        ResponseURL: aws.responseUrl,
        StackId: stackId,
        RequestId: `request-${requests}`,
        ResourceType: 'Custom::DatabaseUser',
        LogicalResourceId: 'NotesUser',
        ResourceProperties: properties,
        ...request,
      }
      // The cleanup after an update has the properties from before it.
      if (event.RequestType !== 'Delete' || given !== undefined) template = given ?? event.ResourceProperties
      const outer = await updateOuter(template, resource)
      tellProgress(event, 'IN_PROGRESS')
      const { error } = await outer.invoke(event, timeoutMs === undefined ? {} : { timeoutMs })
      if (error !== undefined) throw new Error(`${error.errorType}: ${error.errorMessage}`)
      const answer = aws.answers.findLast(({ body }) => body.RequestId === event.RequestId)
      if (answer === undefined) throw new Error('CloudFormation was not answered')
      const { Status, PhysicalResourceId = '' } = answer.body
      tellProgress({ ...event, PhysicalResourceId }, Status === 'SUCCESS' ? 'COMPLETE' : 'FAILED')
      return answer.body
    },
    invoke: async event => (await updateOuter(template)).invoke(event),
    logs: () => processes.map(process => process.logs()).join(''),
    close() {
      closing ??= Promise.all(processes.map(process => process.stop())).then(async () => {
        await Promise.all([aws.close(), front.close()])
      })
      return closing
    },
  }
}

/** The environment variables by which `template.yaml` tells the function what the stack may ask for. */
export function variablesOf(properties: Properties): Readonly<Record<string, string>> {
  const join = (value: unknown) => (Array.isArray(value) ? value.join(';;') : '')
  const { Host, Port, Database, User, MasterSecretArn, Setup, Grants } = properties
  return {
    STACK_ID: stackId,
    LOGICAL_RESOURCE_ID: 'NotesUser',
    DATABASE_HOST: String(Host ?? 'localhost'),
    DATABASE_PORT: String(Port ?? ''),
    DATABASE_NAME: String(Database ?? ''),
    DATABASE_USER: String(User ?? ''),
    MASTER_SECRET_ARN: String(MasterSecretArn ?? ''),
    SETUP: join(Setup),
    GRANTS: join(Grants),
  }
}

/** As CloudFormation resolves them, which makes a text of everything that is no list. */
function readProperties(engine: 'postgres' | 'mysql'): Properties {
  return {
    ServiceToken: 'arn:aws:lambda:eu-west-1:123456789012:function:notes-DatabaseUserFunction',
    ServiceTimeout: '180',
    Engine: engine,
    Host: 'localhost',
    Database: 'notes',
    MasterSecretArn: secretArn,
    User: 'notes_app',
    ...readTemplate().Mappings.NotesSql[engine],
  }
}
