/** A part of the core whose tests are tested together: each change of a source is tried on these tests alone. */
export interface CoreFolder {
  /** Patterns of the sources that are changed. */
  readonly sources: readonly string[]
  /** Patterns of the tests that have to notice it. None needs a database, so that a try takes a second. */
  readonly tests: readonly string[]
}

/** By the name that the command line takes. */
export const coreFolders: Readonly<Record<string, CoreFolder>> = {
  token: {
    sources: ['src/token/*.ts'],
    tests: ['test/unit/token/*.test.ts', 'test/properties/cache.test.ts'],
  },
  gateway: {
    sources: ['kit/src/gateway/{sigv4,token-text,token-count,gate,limit}.ts'],
    tests: ['kit/test/gateway/{forgeries,gate,token-text}.test.ts', 'test/properties/gate.test.ts'],
  },
  trust: {
    sources: ['src/trust/*.ts'],
    tests: ['test/unit/trust/{pem,identity,verified-tls,roots}.test.ts'],
  },
  policy: { sources: ['src/policy/*.ts'], tests: ['test/unit/policy/*.test.ts'] },
  connection: { sources: ['src/connection/*.ts'], tests: ['test/unit/connection/*.test.ts'] },
  drivers: {
    // Not what speaks to a driver's own insides, which only a real one can answer.
    sources: [
      'src/drivers/{callers,closing,returning,session-check,shared-transaction}.ts',
      'src/drivers/mysql2/status.ts',
    ],
    tests: ['test/unit/drivers/**/*.test.ts'],
  },
  retries: { sources: ['src/retries/*.ts'], tests: ['test/unit/retries/*.test.ts'] },
}
