// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
/** What a client and a server may agree upon, as far as the gateway has to know it by name. */
export const capability = {
  /**
   * Called CLIENT_MYSQL by MariaDB: whoever does not set it, uses the four reserved bytes of
   * `mariadbCapabilities`.
   */
  longPassword: 1 << 0,
  connectWithDatabase: 1 << 3,
  protocol41: 1 << 9,
  ssl: 1 << 11,
  secureConnection: 1 << 15,
  pluginAuth: 1 << 19,
  connectAttributes: 1 << 20,
  lengthEncodedAuth: 1 << 21,
} as const

/** Without these, there is no authentication by a plugin. */
export const neededCapabilities = capability.protocol41 | capability.secureConnection | capability.pluginAuth

const bits = (...numbers: readonly number[]): number => numbers.reduce((mask, bit) => mask | (1 << bit), 0)

/**
 * What the gateway passes on: all whose meaning is between the client and the upstream alone. A list of these
 * and not of the others, so that a capability invented tomorrow is off: COMPRESS (5) and ZSTD (26) would hide
 * the commands, further factors (28) and query attributes (27) would change the login.
 */
const transparent =
  neededCapabilities |
  capability.longPassword |
  capability.connectWithDatabase |
  capability.connectAttributes |
  capability.lengthEncodedAuth |
  // FOUND_ROWS, LONG_FLAG, NO_SCHEMA, ODBC, LOCAL_FILES, IGNORE_SPACE, INTERACTIVE, IGNORE_SIGPIPE,
  // TRANSACTIONS, RESERVED
  bits(1, 2, 4, 6, 7, 8, 10, 12, 13, 14) |
  // MULTI_STATEMENTS, MULTI_RESULTS, PS_MULTI_RESULTS, CAN_HANDLE_EXPIRED_PASSWORDS,
  // SESSION_TRACK, DEPRECATE_EOF
  bits(16, 17, 18, 22, 23, 24) |
  // OPTIONAL_RESULTSET_METADATA, PROGRESS_OBSOLETE
  bits(25, 29)

/** What the gateway offers in front of an upstream that offers `upstream`. */
export const offerCapabilities = (upstream: number): number =>
  ((upstream & transparent) | neededCapabilities | capability.ssl) >>> 0

/** What is agreed upon with the upstream where the client chose `client` out of `offered`. */
export const agreeCapabilities = (client: number, offered: number): number =>
  (client & offered & ~capability.ssl) >>> 0

/**
 * MariaDB's own, in their four bytes: PROGRESS, STMT_BULK_OPERATIONS, EXTENDED_METADATA, CACHE_METADATA and
 * BULK_UNIT_RESULTS; not COM_MULTI (1), which packs several commands into one.
 *
 * @see https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection
 */
export const mariadbCapabilities = bits(0, 2, 3, 4, 5)
