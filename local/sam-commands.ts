import type { EngineName } from './stack.ts'

/** What a command of SAM CLI's for local functions is about. */
export interface SamTarget {
  readonly engine: EngineName
  /** The function's name in `template.yaml`. */
  readonly functionName: string
  /** The environment of the function, for example `.local/postgres-6432.json`. */
  readonly environmentFile: string
  readonly region: string
  /** The key pair that the gateway knows. */
  readonly credentials: Readonly<Record<string, string>>
}

/** The machine that Docker runs on, in Node's words. */
export interface SamMachine {
  readonly platform: NodeJS.Platform
  readonly arch: NodeJS.Architecture
}

/** The oldest SAM CLI that knows the runtime nodejs24.x. */
export const oldestSam = '1.147.0'

/**
 * The commands that run the sample in Docker against the gateway. They are the same whether the shell has
 * credentials of AWS or not: its own would be unknown to the gateway.
 *
 * @see https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-cli-command-reference-sam-local-invoke.html
 * @see https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-cli-command-reference-sam-local-start-lambda.html
 */
export function samCommands(
  { engine, functionName, environmentFile, region, credentials }: SamTarget,
  { platform, arch }: SamMachine,
): { readonly invoke: string; readonly start: string; readonly call: string } {
  const keys = [
    ...Object.entries(credentials).map(([name, value]) => `${name}=${value}`),
    'AWS_SESSION_TOKEN=',
  ].join(' ')
  const overrides = [
    ...(engine === 'mysql' ? ['Engine=mysql'] : []),
    // Docker emulates no other processor by itself.
    ...(arch === 'x64' ? ['Architecture=x86_64'] : []),
  ]
  const flags = [
    `--env-vars ${environmentFile}`,
    `--region ${region}`,
    ...(overrides.length === 0 ? [] : [`--parameter-overrides ${overrides.join(' ')}`]),
    // Docker Desktop knows the name by itself.
    ...(platform === 'linux' ? ['--add-host host.docker.internal:host-gateway'] : []),
  ].join(' ')
  return {
    invoke: `${keys} sam local invoke ${functionName} --event events/add-note.json ${flags}`,
    start: `${keys} sam local start-lambda --warm-containers EAGER ${flags}`,
    call:
      `${keys} aws lambda invoke --endpoint-url http://127.0.0.1:3001 --region ${region} --function-name ${functionName} ` +
      '--cli-binary-format raw-in-base64-out --payload file://events/add-note.json /dev/stdout',
  }
}

/**
 * What is wrong with a SAM CLI that says this of its version, if anything is.
 *
 * @param output For example `SAM CLI, version 1.170.0`.
 */
export function samProblem(output: string): string | undefined {
  const version = /\d+\.\d+\.\d+/.exec(output)?.[0]
  if (version === undefined || !isOlder(version, oldestSam)) return undefined
  return `SAM CLI ${version} does not know the runtime nodejs24.x: ${oldestSam} or newer is needed`
}

function isOlder(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) < 0
}
