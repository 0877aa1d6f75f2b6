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
  'kit/src/gateway/gate.ts': [
    {
      line: 'if (verification.tokenId !== undefined) tokens.add(verification.tokenId, nowMs)',
      change: 'verification.tokenId !== undefined → true',
      reason: 'What is valid is a token, and has an id. The types do not know that.',
    },
  ],
  'kit/src/gateway/limit.ts': [
    {
      line: 'if (perSecond === undefined) return true',
      change: 'perSecond === undefined → false',
      reason: 'No number is as large as no limit. It would only be remembered who came, for a second.',
    },
    {
      line: 'while (passed[0] !== undefined && Math.abs(nowMs - passed[0]) >= 1000) passed.shift()',
      change: 'passed[0] !== undefined → true',
      reason: 'What is not there is never a second old.',
    },
  ],
  'kit/src/gateway/sigv4.ts': [
    {
      line: "const [accessKeyId = '', date = '', region = '', scopeService = '', terminator = ''] = scope",
      change: '\'\' → "Stryker was here!"',
      reason: 'The next line refuses what has fewer parts. The types do not know that.',
    },
    {
      line: 'if (credentialsEndMs !== undefined && expected.nowMs > credentialsEndMs) {',
      change: 'credentialsEndMs !== undefined → true',
      reason: 'No time is later than none.',
    },
  ],
  'kit/src/gateway/token-text.ts': [
    {
      line: "parameters.get(name) ?? ''",
      change: '\'\' → "Stryker was here!"',
      reason: 'No token comes so far without one of these parameters. The types do not know that.',
    },
    {
      line: 'const [, host, query] = /^([^/?]+)\\/?\\?(.*)$/s.exec(text) ?? []',
      change: '/^([^/?]+)\\/?\\?(.*)$/s → /^([^/?]+)\\/?\\?(.*)/s',
      reason: 'The rest is taken to its end in both.',
    },
    {
      line: 'const [, host, query] = /^([^/?]+)\\/?\\?(.*)$/s.exec(text) ?? []',
      change: '[] → ["Stryker was here"]',
      reason: 'The host is the second part, and there is none in either.',
    },
    {
      line: 'if (host === undefined || query === undefined)',
      change: 'host === undefined || query === undefined → host === undefined && query === undefined',
      reason: 'Where the pattern fits, there are both; where it does not, neither.',
    },
    {
      line: 'if (host === undefined || query === undefined)',
      change: 'host === undefined → false',
      reason: 'Where the pattern fits, there are both; where it does not, neither.',
    },
    {
      line: 'if (host === undefined || query === undefined)',
      change: 'query === undefined → false',
      reason: 'Where the pattern fits, there are both; where it does not, neither.',
    },
    {
      line: '} catch {',
      change: '{ return undefined } → {}',
      reason: 'A function without an end gives the same.',
    },
  ],
  'src/connection/client-source.ts': [
    {
      line: 'if (isQuiet(lastUsedMs, pingAfterIdleMs)) await settle()',
      change: 'isQuiet(lastUsedMs, pingAfterIdleMs) → true',
      reason: 'It waits for two turns of the event loop more.',
    },
    {
      line: 'if (session.restoration === undefined && silenceMs(lastUsedMs) < pingAfterIdleMs) return held',
      change: 'session.restoration === undefined && silenceMs(lastUsedMs) < pingAfterIdleMs → false',
      reason: 'A check of what needs none asks nothing, and finds it in order.',
    },
    {
      line: 'const explain = (error: unknown) => Promise.reject(access.explain(error, { account }))',
      change: '{ account } → {}',
      reason: 'Errors that name an account are explained before; that the time is over names none.',
    },
    {
      line: 'if (leases.size > 0) reclaim(invocation)',
      change: 'leases.size > 0 → true',
      reason: 'There is nothing to take back where nobody has anything.',
    },
    {
      line: 'if (leases.size > 0) reclaim(invocation)',
      change: 'leases.size > 0 → leases.size >= 0',
      reason: 'There is nothing to take back where nobody has anything.',
    },
    {
      line: '} else if (idle.length === 0) {',
      change: 'idle.length === 0 → true',
      reason: 'None is idle in the moment after all that were have been looked at.',
    },
  ],
  'src/connection/shutdown.ts': [
    {
      line: "await withDeadline(Promise.all(closing), shutdownTimeMs, () => new Error('late')).catch(() => {})",
      change: "() => new Error('late') → () => undefined",
      reason: 'Nobody reads the error: it only ends the waiting.',
    },
    {
      line: "await withDeadline(Promise.all(closing), shutdownTimeMs, () => new Error('late')).catch(() => {})",
      change: '\'late\' → ""',
      reason: 'Nobody reads the error: it only ends the waiting.',
    },
  ],
  'src/drivers/closing.ts': [
    {
      line: "closed = withDeadline(unused, timeMs, () => new Error('still in use'))",
      change: "() => new Error('still in use') → () => undefined",
      reason: 'Nobody reads the error: it only ends the waiting.',
    },
  ],
  'src/drivers/mysql2/status.ts': [
    {
      line: "return typeof state === 'function' && statesThatTakeOk.some(name => command?.[name] === state)",
      change: 'command?.[name] → command[name]',
      reason: 'Where there is a state, there is a command. The types do not know that.',
    },
  ],
  'src/drivers/session-check.ts': [
    {
      line: "await withDeadline(ended, timeMs, () => new Error('late')).catch(() => {})",
      change: "() => new Error('late') → () => undefined",
      reason: 'Nobody reads the error: it only ends the waiting.',
    },
    {
      line: "await withDeadline(ended, timeMs, () => new Error('late')).catch(() => {})",
      change: '\'late\' → ""',
      reason: 'Nobody reads the error: it only ends the waiting.',
    },
    {
      line: 'if (!hasEnded) await settle()',
      change: '!hasEnded → true',
      reason: 'What has settled stays so two turns of the event loop later.',
    },
  ],
  'src/retries/open.ts': [
    {
      line: "if (!isOver && !('connection' in ended)) retry.afterOvertaken(ended.error, ended.token)",
      change: '\'connection\' → ""',
      reason: 'A connection that is ready has been served by then, so that it is over.',
    },
    {
      line: 'if (due !== undefined) await due',
      change: 'due !== undefined → true',
      reason: 'It takes no time to wait for nothing.',
    },
    {
      line: "else if ('connection' in ended) return",
      change: "'connection' in ended → false",
      reason: 'A connection that is ready has been served by then, so that it is over.',
    },
    {
      line: "else if ('connection' in ended) return",
      change: '\'connection\' → ""',
      reason: 'A connection that is ready has been served by then, so that it is over.',
    },
    {
      line: "if (dialling?.isSilent()) resolve('silent')",
      change: 'dialling?.isSilent → dialling.isSilent',
      reason: 'Nobody watches before there is something to watch.',
    },
  ],
  'src/retries/writer.ts': [
    {
      line: 'throw access.explain(readOnly, { account: asker.account })',
      change: '{ account: asker.account } → {}',
      reason: 'What is said of a reader names no account.',
    },
    {
      line: 'if (reader !== undefined) drop(reader)',
      change: 'reader !== undefined → true',
      reason: 'Nothing is not among the readers that are kept.',
    },
    {
      line: 'const hasFallback = () => reader !== undefined && readers.has(reader) && connections.isUsable(reader)',
      change: 'reader !== undefined → true',
      reason: 'Nothing is not among the readers that are kept.',
    },
  ],
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
  'src/trust/roots.ts': [
    {
      line: 'if (files.length === 0) return []',
      change: 'files.length === 0 → false',
      reason: 'No files have no authorities. The module that reads them is not loaded for that.',
    },
    {
      line: "const text = file === undefined ? '' : await readFile(file, 'latin1').catch(() => '')",
      change: 'file === undefined → false',
      reason: 'What has no name cannot be read, and gives the same.',
    },
    {
      line: "const text = file === undefined ? '' : await readFile(file, 'latin1').catch(() => '')",
      change: '\'\' → "Stryker was here!"',
      reason: 'Neither has a certificate.',
    },
    {
      line: 'if (file === extraCaFile && certificates.length > 0) return certificates',
      change: 'certificates.length > 0 → true',
      reason: 'It is the last file, so that none of it is none in all.',
    },
    {
      line: 'if (file === extraCaFile && certificates.length > 0) return certificates',
      change: 'certificates.length > 0 → certificates.length >= 0',
      reason: 'It is the last file, so that none of it is none in all.',
    },
  ],
  'src/trust/verified-tls.ts': [
    {
      line: 'if (ca === undefined) return tls().createSecureContext({ ca: [], minVersion })',
      change: '[] → ["Stryker was here"]',
      reason: 'What is no certificate vouches for nobody either.',
    },
    {
      line: 'if (known !== undefined) return known',
      change: 'known !== undefined → false',
      reason: 'They are read again, which takes time and changes nothing.',
    },
    {
      line: 'readLists.set(authorities, read)',
      change: 'readLists.set(authorities, read) → ;',
      reason: 'They are read again, which takes time and changes nothing.',
    },
    {
      line: 'if (!isIssuedBy(own, current)) return false',
      change: '!isIssuedBy(own, current) → false',
      reason:
        'OpenSSL links a certificate to its issuer alone. It is asked once more for whoever changes that.',
    },
    {
      line: 'if (!isIssuedBy(own, current)) return false',
      change: 'false → true',
      reason:
        'OpenSSL links a certificate to its issuer alone. It is asked once more for whoever changes that.',
    },
  ],
}
