const address = 'give `host`, `port`, `user` and `database`'
const kept = 'connections are kept as long as they are usable, and tokens as long as they live'
const local = 'a token is signed here, without a request'
const onContext =
  'the connection is on the context, by the name that `contextKey` gives; its token is nowhere'

/** What to give in place of options that there are not, by the names that drivers and URLs have for them. */
const ofDrivers: Readonly<Record<string, string>> = {
  hostname: 'it is called `host`',
  username: 'it is called `user`',
  dbname: 'it is called `database`',
  password: 'an authentication token takes its place',
  connectionString: address,
  uri: address,
  target_session_attrs: 'it is called `targetSessionAttrs`',
  ssl: 'TLS is always on and verified; `tls.ca` adds trust',
}

/**
 * The same for the options of `@middy/rds` and `@middy/rds-signer`, those of earlier versions too.
 *
 * @see https://middy.js.org/docs/middlewares/rds
 * @see https://middy.js.org/docs/middlewares/rds-signer
 */
const ofMiddy: Readonly<Record<string, string>> = {
  config: `${address} beside each other, and what else the driver is to know as \`client\``,
  internalKey: 'the connection signs its token itself, so that no signer runs before it',
  internalData: 'the connection signs its token itself, so that no signer runs before it',
  disablePrefetch: 'give `prefetch: false`',
  forceConnection: 'the connection is always open before the handler runs',
  cacheKey: 'no middleware shares its connection or its token with another one',
  cachePasswordKey: 'no middleware shares its connection or its token with another one',
  cacheExpiry: kept,
  cacheKeyExpiry: kept,
  cacheMaxSize: 'there is one token for each middleware; `max` limits its connections',
  fetchData:
    'give its `hostname` as `host`, its `username` as `user`, and its `port` and `region`, to a middleware each',
  AwsClient: `${local}; give a \`signer\` to sign otherwise`,
  awsClientOptions: 'give `region` and `credentials`',
  awsClientAssumeRole: 'give `credentials` that assume the role: `fromTemporaryCredentials()` of the AWS SDK',
  awsClientCapture: `${local} that could be traced`,
  awsRequestLimit: `${local} that could be limited; \`connectTimeoutMs\` limits connecting`,
  setToContext: onContext,
  setToEnv: onContext,
}

/** What to give in place of an option that there is not, where its name is a known one. */
export function findInstead(name: string): string | undefined {
  for (const names of [ofDrivers, ofMiddy]) if (Object.hasOwn(names, name)) return names[name]
  return undefined
}
