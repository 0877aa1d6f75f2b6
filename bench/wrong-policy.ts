// What an environment costs the database, and its callers, while the policy of its role lets it in nowhere.
import { otherUserName, type Stack } from '../local/stack.ts'
import { type Kind, middlewareKinds, selectOne, startConfigured } from './configured-function.ts'
import { type Budget, printTable } from './report.ts'

interface Refusals {
  readonly firstSeconds: number
  /** Of the second and later invocations, the longest one and the one with most logins. */
  readonly laterSeconds: number
  readonly laterLogins: number
}

/** The whole budget of the first invocation; the default is ten seconds. */
const connectTimeoutMs = 1500
const laterInvocations = 3

export async function measureWrongPolicy(stack: Stack, folder: string): Promise<Budget[]> {
  const measured: Refusals[] = []
  for (const kind of middlewareKinds) measured.push(await measureOne(stack, folder, kind))
  const rows = (key: keyof Refusals) => measured.map(refusals => refusals[key])
  const laterSeconds = rows('laterSeconds')
  const laterLogins = rows('laterLogins')
  printTable('Role without permission', middlewareKinds, {
    'first invocation, s': rows('firstSeconds'),
    'longest later invocation, s': laterSeconds,
    'most logins of a later invocation': laterLogins,
  })
  return [
    {
      what: 'broken policy: a later invocation',
      measured: Math.max(...laterSeconds),
      limit: 0.5,
      unit: 's',
    },
    {
      what: 'broken policy: logins of a later invocation',
      measured: Math.max(...laterLogins),
      limit: 1,
      unit: 'of them',
    },
  ]
}

async function measureOne(stack: Stack, folder: string, kind: Kind): Promise<Refusals> {
  const { decisions } = stack.database
  const environment = { [stack.variables.user]: otherUserName }
  const refused = await startConfigured(stack, folder, { kind, options: { connectTimeoutMs }, environment })
  const invoke = async () => {
    const before = decisions.length
    const { error, durationMs } = await refused.invoke(selectOne)
    const logins = decisions.slice(before)
    const wrong = logins.find(({ reason }) => reason !== 'NotAuthorized')
    // In the server's words; any other failure is the benchmark's own.
    if (wrong || !/PAM authentication failed|Access denied/.test(error?.errorMessage ?? ''))
      throw new Error(
        `${kind}: expected a refusal, got ${wrong?.detail ?? error?.errorMessage}\n${refused.logs()}`,
      )
    return { seconds: durationMs / 1000, logins: logins.length }
  }
  const first = await invoke()
  const later: { readonly seconds: number; readonly logins: number }[] = []
  while (later.length < laterInvocations) later.push(await invoke())
  await refused.stop()
  return {
    firstSeconds: first.seconds,
    laterSeconds: Math.max(...later.map(({ seconds }) => seconds)),
    laterLogins: Math.max(...later.map(({ logins }) => logins)),
  }
}
