import { type Access, createAccess } from '../access/access.ts'
import { type Engine, type OptionName, readSettings, type Settings } from '../options/settings.ts'

/** Options of a middleware or pool that mean nothing to a connection that somebody else makes and keeps. */
const notOptions =
  'contextKey wrap client prefetch max retryRefused targetSessionAttrs pingAfterIdleMs resetSession'.split(
    ' ',
  ) as OptionName[]

/**
 * Makes the options of a driver that makes its own connections, once the authorities are read: they stand in
 * them as texts.
 *
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once; `RDS_IAM_TRUST` where a bundle leaves
 * the authorities out.
 */
export async function createDriverOptions<Options>(
  engine: Engine,
  options: unknown,
  create: (access: Access, settings: Settings) => Options,
): Promise<Options> {
  const settings = readSettings(engine, options, notOptions)
  const access = createAccess(settings)
  await access.trust.load()
  return create(access, settings)
}
