/** A change of a source that no test can notice, and why. */
export interface Equivalent {
  /** The line of the source. */
  readonly line: string
  /** As `npm run test:mutants` prints it: what stands there, and what in its place. */
  readonly change: string
  readonly reason: string
}

/** By the file of the source. What a test notices, or what is no longer there, has to go: the run says so. */
export const equivalents: Readonly<Record<string, readonly Equivalent[]>> = {
  'src/token/cache.ts': [
    {
      line: 'if (pending === signing) pending = undefined',
      change: 'pending === signing → true',
      reason: 'Only one signing goes on at a time. The question is for whoever changes that.',
    },
  ],
  'src/token/sdk-signer.ts': [
    {
      line: 'const given: AwsCredentials[] = []',
      change: '[] → ["Stryker was here"]',
      reason: 'Among what was given, the credentials are looked for that have the key of the token.',
    },
    {
      line: '...(sessionToken === undefined ? {} : { sessionToken }),',
      change: 'sessionToken === undefined → false',
      reason: 'The SDK takes a session token that is undefined for none.',
    },
    {
      line: '...(expiration === undefined ? {} : { expiration }),',
      change: 'expiration === undefined → false',
      reason: 'The SDK takes an end that is undefined for none.',
    },
    {
      line: "const keyInToken = new URLSearchParams(value).get('X-Amz-Credential')?.split('/')[0]",
      change:
        "new URLSearchParams(value).get('X-Amz-Credential')?.split → new URLSearchParams(value).get('X-Amz-Credential').split",
      reason: 'The SDK signs no token without its credential.',
    },
    {
      line: 'used = given.findLast(({ accessKeyId }) => accessKeyId === keyInToken)',
      change: 'accessKeyId === keyInToken → true',
      reason: 'The SDK of today signs with the credentials that it was given last.',
    },
    {
      line: 'if (used !== undefined) requireLive(used)',
      change: 'used !== undefined → true',
      reason: 'The SDK of today signs with credentials that it was given.',
    },
  ],
  'src/token/token.ts': [
    {
      line: 'const amzDate = /^(\\d{4})(\\d\\d)(\\d\\d)T(\\d\\d)(\\d\\d)(\\d\\d)Z$/',
      change:
        '/^(\\d{4})(\\d\\d)(\\d\\d)T(\\d\\d)(\\d\\d)(\\d\\d)Z$/ → /(\\d{4})(\\d\\d)(\\d\\d)T(\\d\\d)(\\d\\d)(\\d\\d)Z$/',
      reason: 'What stands before a date stays there, and no date is read from it.',
    },
    {
      line: 'const amzDate = /^(\\d{4})(\\d\\d)(\\d\\d)T(\\d\\d)(\\d\\d)(\\d\\d)Z$/',
      change:
        '/^(\\d{4})(\\d\\d)(\\d\\d)T(\\d\\d)(\\d\\d)(\\d\\d)Z$/ → /^(\\d{4})(\\d\\d)(\\d\\d)T(\\d\\d)(\\d\\d)(\\d\\d)Z/',
      reason: 'What stands behind a date stays there, and no date is read from it.',
    },
    {
      line: "const [, , scopeRegion] = parameters.get('X-Amz-Credential')?.split('/') ?? []",
      change: '[] → ["Stryker was here"]',
      reason: 'The Region is the third part, and there is none in either.',
    },
    {
      line: "const signedAtMs = parseDate(parameters.get('X-Amz-Date') ?? '')",
      change: '\'\' → "Stryker was here!"',
      reason: 'Neither is a date.',
    },
    {
      line: "const lifetime = parameters.get('X-Amz-Expires') ?? ''",
      change: '\'\' → "Stryker was here!"',
      reason: 'Neither is a lifetime.',
    },
  ],
}
