import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import type { AwsCredentials, SignerRequest } from '../options.ts'

// What @aws-sdk/rds-signer asks of the same library.
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html: a token lives 15 minutes
const lifetimeSeconds = 900

/** Signs a token with credentials at hand, without the start-up time of the SDK's chain of providers. */
export async function signWithEnvironment(
  { host, port, region, user }: SignerRequest,
  credentials: AwsCredentials,
): Promise<string> {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials
  const signer = new SignatureV4({
    service: 'rds-db',
    region,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    sha256: Sha256,
  })
  const signed = await signer.presign(
    {
      method: 'GET',
      protocol: 'https:',
      hostname: host,
      port,
      path: '/',
      query: { Action: 'connect', DBUser: user },
      headers: { host: `${host}:${port}` },
    },
    { expiresIn: lifetimeSeconds },
  )
  const query = Object.entries(signed.query ?? {}).map(
    ([name, value]) => `${encode(name)}=${encode(String(value))}`,
  )
  return `${host}:${port}/?${query.join('&')}`
}

/** Percent-encoding as SigV4 has it: everything but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

type Data = string | ArrayBuffer | ArrayBufferView

/** SHA-256 of node:crypto in the shape that the library takes: a hash, or an HMAC where there is a key. */
class Sha256 {
  #hash: Hash | Hmac
  readonly #key: Data | undefined

  constructor(key?: Data) {
    this.#key = key
    this.#hash = this.#start()
  }

  #start(): Hash | Hmac {
    return this.#key === undefined ? createHash('sha256') : createHmac('sha256', toBytes(this.#key))
  }

  reset(): void {
    this.#hash = this.#start()
  }

  update(data: Data): void {
    this.#hash.update(toBytes(data))
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
}

function toBytes(data: Data): string | Uint8Array {
  if (typeof data === 'string') return data
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
}
