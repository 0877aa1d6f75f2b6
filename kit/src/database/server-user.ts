import { execFileSync } from 'node:child_process'

/** Whom a database server runs as. */
export interface ServerUser {
  readonly uid: number
  readonly gid: number
}

/**
 * A database server must not run as root: root hands it to `nobody`, who exists everywhere and owns nothing.
 * Anybody else runs it as is.
 */
export function pickUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  const readId = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: readId('-u'), gid: readId('-g') }
}
