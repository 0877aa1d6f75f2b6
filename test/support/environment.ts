/** Sets environment variables for one test; `undefined` takes one away. They are put back when it ends. */
export function setEnvironment(
  t: { after(restore: () => void): void },
  variables: Readonly<Record<string, string | undefined>>,
): void {
  const before = Object.keys(variables).map(name => [name, process.env[name]] as const)
  const apply = (entries: Iterable<readonly [string, string | undefined]>): void => {
    for (const [name, value] of entries) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
  apply(Object.entries(variables))
  t.after(() => apply(before))
}

/** Takes away whatever of the machine's own could give the AWS SDK credentials. */
export const withoutCredentials = {
  AWS_PROFILE: undefined,
  AWS_ACCESS_KEY_ID: undefined,
  AWS_SECRET_ACCESS_KEY: undefined,
  AWS_SESSION_TOKEN: undefined,
  AWS_CREDENTIAL_EXPIRATION: undefined,
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: undefined,
  AWS_CONTAINER_CREDENTIALS_FULL_URI: undefined,
  AWS_WEB_IDENTITY_TOKEN_FILE: undefined,
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent/credentials',
  AWS_CONFIG_FILE: '/nonexistent/config',
} as const
