import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { makeAuthority } from '../../../kit/src/index.ts'
import type { Invocation } from '../../../local/runtime-api.ts'

/** What the custom resource speaks to on AWS, on loopback. */
export interface Aws {
  /** The environment variables of a function that speaks to it. */
  readonly environment: Readonly<Record<string, string>>
  /** For CloudFormation's requests: at the name of the real one, and signed as it is. */
  readonly responseUrl: string
  /** The hosts that a function wanted to reach, CloudFormation's own left out. */
  readonly strangers: readonly string[]
  /** Of Secrets Manager, by ARN. */
  readonly secrets: Map<string, string>
  /** What CloudFormation tells of its stacks, the newest first. */
  readonly stackEvents: StackEvent[]
  /** How the next readings of them end, before one gets them: with none that are new, or refused. */
  readonly eventMishaps: (
    | 'stale'
    | { readonly status: number; readonly code: string; readonly message: string }
  )[]
  /** Of Lambda, by name. */
  readonly functions: Map<string, (event: unknown) => Promise<Pick<Invocation, 'payload' | 'error'>>>
  /**
   * How the next answers to CloudFormation end, before it takes one: a status, the connection cut off, or to
   * be sent elsewhere.
   */
  readonly mishaps: (number | 'cut' | { readonly location: string })[]
  /** How many answers CloudFormation got, those that went wrong among them. */
  readonly attempts: () => number
  /** What CloudFormation got and took, in the order of time. */
  readonly answers: readonly StackAnswer[]
  close(): Promise<void>
}

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackEvent.html */
export interface StackEvent {
  readonly StackId: string
  readonly LogicalResourceId: string
  /** Empty until a creation is answered. */
  readonly PhysicalResourceId: string
  readonly ResourceStatus: string
}

export interface StackAnswer {
  readonly text: string
  readonly headers: IncomingMessage['headers']
  readonly body: Readonly<Record<string, string>> & { readonly Status: string; readonly Reason: string }
}

export const signature = 'X-Amz-Signature=0123456789abcdef'

/** CloudFormation's bucket in the Region of the tests. */
export const answerHost = 'cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com'

// CloudFormation's pages are larger; these make every history have more than one.
const eventsOnAPage = 2

export async function startAws(): Promise<Aws> {
  const secrets: Aws['secrets'] = new Map()
  const stackEvents: Aws['stackEvents'] = []
  const eventMishaps: Aws['eventMishaps'] = []
  const functions: Aws['functions'] = new Map()
  const mishaps: Aws['mishaps'] = []
  const answers: StackAnswer[] = []
  let attempts = 0

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await readText(request)
    const target = request.headers['x-amz-target']
    const name = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(request.url ?? '')?.[1]
    if (target === 'secretsmanager.GetSecretValue') return giveSecret(JSON.parse(text).SecretId, response)
    if (name !== undefined) return invoke(decodeURIComponent(name), JSON.parse(text), response)
    const query = new URLSearchParams(text)
    if (query.get('Action') === 'DescribeStackEvents') return tellEvents(query, response)
    response.writeHead(500).end()
  }

  function giveSecret(id: string, response: ServerResponse): void {
    const secret = secrets.get(id)
    const body =
      secret === undefined
        ? { __type: 'ResourceNotFoundException', message: "Secrets Manager can't find the specified secret." }
        : { ARN: id, SecretString: secret }
    response.writeHead(secret === undefined ? 400 : 200, { 'content-type': 'application/x-amz-json-1.1' })
    response.end(JSON.stringify(body))
  }

  // https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackEvents.html
  function tellEvents(query: URLSearchParams, response: ServerResponse): void {
    const stack = query.get('StackName')
    const mishap = eventMishaps.shift()
    const own = mishap === 'stale' ? [] : stackEvents.filter(({ StackId }) => StackId === stack)
    const begin = Number(query.get('NextToken') ?? 0)
    const end = begin + eventsOnAPage
    const members = own.slice(begin, end).map(event => `<member>${formatXml({ ...event })}</member>`)
    const next = end < own.length ? formatXml({ NextToken: String(end) }) : ''
    const body =
      typeof mishap === 'object'
        ? `<Error>${formatXml({ Type: 'Sender', Code: mishap.code, Message: mishap.message })}</Error>`
        : `<DescribeStackEventsResult><StackEvents>${members.join('')}</StackEvents>${next}</DescribeStackEventsResult>`
    const root = typeof mishap === 'object' ? 'ErrorResponse' : 'DescribeStackEventsResponse'
    response.writeHead(typeof mishap === 'object' ? mishap.status : 200, { 'content-type': 'text/xml' })
    response.end(`<${root} xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">${body}</${root}>`)
  }

  // https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
  async function invoke(name: string, event: unknown, response: ServerResponse): Promise<void> {
    const run = functions.get(name)
    if (run === undefined) {
      response.writeHead(404, { 'x-amzn-errortype': 'ResourceNotFoundException' })
      response.end(JSON.stringify({ Type: 'User', Message: `Function not found: ${name}` }))
      return
    }
    const { payload, error } = await run(event)
    response.writeHead(200, error === undefined ? {} : { 'x-amz-function-error': 'Unhandled' })
    response.end(JSON.stringify(error ?? payload))
  }

  function takeAnswer(text: string, { headers }: IncomingMessage, response: ServerResponse): void {
    attempts += 1
    const mishap = mishaps.shift()
    if (mishap === 'cut') {
      response.destroy()
      return
    }
    if (typeof mishap === 'object') response.writeHead(307, { location: mishap.location }).end()
    else response.writeHead(mishap ?? 200).end()
    if (mishap !== undefined) return
    answers.push({ text, headers, body: JSON.parse(text) as StackAnswer['body'] })
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(error => response.writeHead(500).end(String(error)))
  })
  const { ca, issue } = await makeAuthority('Amazon')
  const bucket = createHttpsServer(await issue({ names: [answerHost] }), async (request, response) => {
    const text = await readText(request)
    if (request.method === 'PUT' && request.url === `/answer?${signature}`)
      return takeAnswer(text, request, response)
    response.writeHead(403).end()
  })
  // The way to the bucket's own name, which DNS would lead to Amazon.
  const strangers: string[] = []
  const proxy = createServer().on('connect', (request, client) => {
    client.on('error', () => {})
    if (request.url !== `${answerHost}:443`) {
      strangers.push(String(request.url))
      client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      return
    }
    const upstream = connect(portOf(bucket), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      client.pipe(upstream).pipe(client)
    })
    upstream.on('error', () => client.destroy())
    client.on('close', () => upstream.destroy())
  })
  const servers = [server, bucket, proxy]
  for (const each of servers) {
    each.listen(0, '127.0.0.1')
    await once(each, 'listening')
  }
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-aws-'))
  writeFileSync(join(folder, 'ca.pem'), ca)
  const url = `http://127.0.0.1:${portOf(server)}`
  return {
    environment: {
      AWS_ENDPOINT_URL_CLOUDFORMATION: url,
      AWS_ENDPOINT_URL_LAMBDA: url,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: url,
      NODE_USE_ENV_PROXY: '1',
      HTTPS_PROXY: `http://127.0.0.1:${portOf(proxy)}`,
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
    },
    responseUrl: `https://${answerHost}/answer?${signature}`,
    strangers,
    secrets,
    stackEvents,
    eventMishaps,
    functions,
    mishaps,
    attempts: () => attempts,
    answers,
    async close() {
      for (const each of servers) {
        each.closeAllConnections()
        each.close()
        await once(each, 'close')
      }
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function formatXml(texts: Readonly<Record<string, string>>): string {
  const escapeText = (text: string) =>
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return Object.entries(texts)
    .map(([name, text]) => `<${name}>${escapeText(text)}</${name}>`)
    .join('')
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
