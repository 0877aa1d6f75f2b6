import assert from 'node:assert/strict'
import { inspect } from 'node:util'

/** The key pairs that the function under fault signs with: the second one is what the first is rotated to. */
export const keys = {
  first: {
    accessKeyId: 'ASIAFIRSTFAULTSKEY',
    secretAccessKey: 'firstSecretKeyThatNobodyMaySee',
    sessionToken: 'firstSessionTokenThatNobodyMaySee',
  },
  second: {
    accessKeyId: 'ASIASECONDFAULTSKEY',
    secretAccessKey: 'secondSecretKeyThatNobodyMaySee',
    sessionToken: 'secondSessionTokenThatNobodyMaySee',
  },
} as const

export type Keys = (typeof keys)[keyof typeof keys]

/** The environment variables that Lambda puts a role's credentials into. */
export function variablesOf({ accessKeyId, secretAccessKey, sessionToken }: Keys): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  }
}

const seen: string[] = []

/** Keeps what came out of a function or a gateway, to be searched for secrets in the end. */
export function see(...things: readonly unknown[]): void {
  for (const thing of things)
    seen.push(typeof thing === 'string' ? thing : inspect(thing, { depth: 20, showHidden: true }))
}

/** Fails where a token or a part of credentials that is secret is in anything that came out. */
export function assertNothingSecretSeen(): void {
  const text = seen.join('\n')
  assert.match(text, /published .*event: 'token:signed'/s, 'there is something to be searched')
  const secrets = Object.values(keys).flatMap(pair => [pair.secretAccessKey, pair.sessionToken])
  for (const secret of [...secrets, 'X-Amz-Signature']) {
    const at = text.indexOf(secret)
    assert.ok(at < 0, `${secret} was seen: …${text.slice(Math.max(0, at - 200), at + 40)}…`)
  }
}
