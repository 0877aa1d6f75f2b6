import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Database } from 'rds-iam-kit'

/** Starts a program of `src/` as a process of its own, which reaches the database as its function would. */
export function start(name: string, database: Database): ChildProcess {
  const path = fileURLToPath(new URL(`../src/${name}`, import.meta.url))
  return spawn(process.execPath, [path], {
    env: { ...process.env, ...database.environment, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** The next text that the process prints. */
export async function nextOutput(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('its output goes elsewhere')
  const [text] = await once(child.stdout, 'data')
  return String(text)
}
