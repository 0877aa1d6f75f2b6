import { once } from 'node:events'
import { chownSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after } from 'node:test'
import type { Server } from '../../kit/src/database/server.ts'

/** Whether a token lets a user in. */
export type Judge = (user: string, token: string) => boolean

/**
 * Answers what a server's own login asks (`local/plugins/verifier.h`), until the test file's last test.
 *
 * @param server Its threads, or processes, stand in the folder of its data.
 * @returns Ends it before.
 */
export async function startVerifier({ folder }: Pick<Server, 'folder'>, judge: Judge): Promise<() => void> {
  const verifier = createServer({ allowHalfOpen: true }, login => {
    const parts: Buffer[] = []
    login.on('data', part => void parts.push(part))
    login.on('end', () => {
      const asked = Buffer.concat(parts).toString('utf8')
      const name = asked.split('\0', 1)[0] ?? ''
      login.end(judge(name, asked.slice(name.length + 1)) ? '+' : '-')
    })
    // The server may end first.
    login.on('error', () => {})
  })
  const data = join(folder, 'data')
  const path = join(data, 'token-verifier')
  verifier.listen(path)
  await once(verifier, 'listening')
  // The server asks as who it runs as.
  const { uid, gid } = statSync(data)
  chownSync(path, uid, gid)
  const end = () => void verifier.close()
  after(end)
  return end
}
