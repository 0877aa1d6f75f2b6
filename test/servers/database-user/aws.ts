import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import type { Invocation } from '../../../local/runtime-api.ts'

/** What the custom resource speaks to on AWS, on loopback. */
export interface Aws {
  /** The environment variables of a function that speaks to it. */
  readonly environment: Readonly<Record<string, string>>
  /** For CloudFormation's requests; signed, as the real one is. */
  readonly responseUrl: string
  /** Of Secrets Manager, by ARN. */
  readonly secrets: Map<string, string>
  /** Of Lambda, by name. */
  readonly functions: Map<string, (event: unknown) => Promise<Pick<Invocation, 'payload' | 'error'>>>
  /** How the next answers to CloudFormation end, before it takes one: a status, or the connection cut off. */
  readonly mishaps: (number | 'cut')[]
  /** How many answers CloudFormation got, those that went wrong among them. */
  readonly attempts: () => number
  /** What CloudFormation got and took, in the order of time. */
  readonly answers: readonly StackAnswer[]
  close(): Promise<void>
}

export interface StackAnswer {
  readonly text: string
  readonly headers: IncomingMessage['headers']
  readonly body: Readonly<Record<string, string>> & { readonly Status: string; readonly Reason: string }
}

export const signature = 'X-Amz-Signature=0123456789abcdef'

export async function startAws(): Promise<Aws> {
  const secrets: Aws['secrets'] = new Map()
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
    if (request.method === 'PUT' && request.url === `/answer?${signature}`)
      return takeAnswer(text, request, response)
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
    response.writeHead(mishap ?? 200).end()
    if (mishap !== undefined) return
    answers.push({ text, headers, body: JSON.parse(text) as StackAnswer['body'] })
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(error => response.writeHead(500).end(String(error)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  return {
    environment: { AWS_ENDPOINT_URL_LAMBDA: url, AWS_ENDPOINT_URL_SECRETS_MANAGER: url },
    responseUrl: `${url}/answer?${signature}`,
    secrets,
    functions,
    mishaps,
    attempts: () => attempts,
    answers,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
