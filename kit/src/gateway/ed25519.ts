import { createHash } from 'node:crypto'

// https://www.rfc-editor.org/rfc/rfc8032#section-5.1: the field, the order, the curve's constant, the base point.
const p = 2n ** 255n - 19n
const order = 2n ** 252n + 27742317777372353535851937790883648493n
const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n
const base = [
  15112221349535400772501151409588531511454012693041857206046113283949847762202n,
  46316835694926478169428394003475163141307993866256225615783033603165251855960n,
] as const

/** x/z, y/z and xy/z. */
type Point = readonly [x: bigint, y: bigint, z: bigint, t: bigint]

/**
 * Signs as MariaDB's plugin `ed25519` wants it: by Ed25519 whose private key is a password of any length,
 * where RFC 8032 has 32 bytes. That is why node:crypto cannot do it. The time that it takes depends on the
 * password, which nobody can measure who does not know it anyway: only the upstream sees the answer.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8032#section-5.1.6
 */
export function signByPassword(message: Buffer, password: Buffer): Buffer {
  const secret = sha512(password)
  const scalar = toNumber(secret.subarray(0, 32))
  // Section 5.1.5: the lowest three bits and the highest one are cleared, the second highest is set.
  const key = (scalar & (2n ** 254n - 8n)) | (2n ** 254n)
  const nonce = toNumber(sha512(secret.subarray(32), message)) % order
  const [first, publicKey] = [encode(multiply(nonce)), encode(multiply(key))]
  const challenge = toNumber(sha512(first, publicKey, message)) % order
  return Buffer.concat([first, toBytes((nonce + challenge * key) % order)])
}

/** Section 5.1.4. */
function add([x1, y1, z1, t1]: Point, [x2, y2, z2, t2]: Point): Point {
  const a = (y1 - x1) * (y2 - x2)
  const b = (y1 + x1) * (y2 + x2)
  const c = t1 * 2n * d * t2
  const e = z1 * 2n * z2
  const [h, g, f, i] = [b - a, e + c, e - c, b + a]
  return [mod(h * f), mod(g * i), mod(f * g), mod(h * i)]
}

function multiply(times: bigint): Point {
  let sum: Point = [0n, 1n, 1n, 0n]
  let step: Point = [base[0], base[1], 1n, mod(base[0] * base[1])]
  for (let left = times; left > 0n; left >>= 1n) {
    if (left & 1n) sum = add(sum, step)
    step = add(step, step)
  }
  return sum
}

/** Section 5.1.2: y, and in its highest bit whether x is odd. */
function encode([x, y, z]: Point): Buffer {
  const inverse = power(z, p - 2n)
  const isOdd = mod(x * inverse) & 1n
  return toBytes(mod(y * inverse) | (isOdd << 255n))
}

function power(number: bigint, exponent: bigint): bigint {
  let [result, step] = [1n, number]
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * step)
    step = mod(step * step)
  }
  return result
}

const mod = (number: bigint): bigint => ((number % p) + p) % p

const toNumber = (littleEndian: Buffer): bigint =>
  BigInt(`0x${Buffer.from(littleEndian).reverse().toString('hex')}`)

const toBytes = (number: bigint): Buffer =>
  Buffer.from(number.toString(16).padStart(64, '0'), 'hex').reverse()

function sha512(...parts: readonly Buffer[]): Buffer {
  return createHash('sha512').update(Buffer.concat(parts)).digest()
}
