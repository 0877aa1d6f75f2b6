import fc from 'fast-check'

/** Whatever JavaScript has: what an option may be given by mistake. */
export const garbage: fc.Arbitrary<unknown> = fc.oneof(
  fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withObjectString: true,
    withSparseArray: true,
    withTypedArray: true,
    maxDepth: 2,
  }),
  fc.constantFrom<unknown>(
    undefined,
    null,
    Number.NaN,
    -0,
    '',
    '\ud800',
    Symbol('x'),
    () => 'x',
    new Date(NaN),
  ),
  fc.string({ unit: 'binary' }),
)

/** Texts of whole characters from all of Unicode: what UTF-8 can carry. */
export const unicode = (constraints: fc.StringConstraints = {}): fc.Arbitrary<string> =>
  fc.string({ ...constraints, unit: 'binary' })

/** Splits bytes at arbitrary places, into pieces that may be empty. */
export const splits = fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 30 })

/** The bytes in pieces of the given sizes, over and over again. */
export function split(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    // A piece without bytes would be none; at least one step in each round goes on.
    const size = Math.max(sizes[turn % sizes.length] ?? 1, 1)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}
