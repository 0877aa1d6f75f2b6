import fc from 'fast-check'

/** What the values of every property are drawn from. `npm run test:properties` sets another one each time. */
const seed = Number(process.env.PROPERTIES_SEED ?? 20_260_101)

/** How many times as many values are tried as usual. */
export const effort = Number(process.env.PROPERTIES_EFFORT ?? 1)

/** Parameters of fast-check, without the seed, which is the same for all. */
type PropertyParameters<Values> = Omit<fc.Parameters<Values>, 'seed'>

/**
 * Holds a property against many values, the same ones each time unless `npm run test:properties` asks for others.
 *
 * @param parameters `numRuns` is multiplied by {@link effort}. @default 100 runs
 */
export function assertProperty<Values>(
  property: fc.IAsyncProperty<Values>,
  parameters?: PropertyParameters<Values>,
): Promise<void>
export function assertProperty<Values>(
  property: fc.IProperty<Values>,
  parameters?: PropertyParameters<Values>,
): void
export function assertProperty<Values>(
  property: fc.IRawProperty<Values>,
  { numRuns = 100, ...parameters }: PropertyParameters<Values> = {},
): void | Promise<void> {
  return fc.assert(property, { ...parameters, seed, numRuns: numRuns * effort })
}
