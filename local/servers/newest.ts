import type { Programs } from '../../kit/src/database/engines.ts'
import { catalogue, defaultFolder, findServer } from './catalogue.ts'

/** By engine, the newest first: those that \`npm run servers\` brings and that are newer than what npm and the PATH have. */
const newest = { postgres: [], mysql: ['mysql-newest', 'mariadb-11.8'] } as const

/**
 * Finds the newest server that was fetched for an engine.
 *
 * @returns Nothing where none was: then it is what is installed.
 */
export function findNewest(engine: keyof typeof newest, folder = defaultFolder): Programs {
  for (const name of newest[engine]) {
    const server = catalogue.find(server => server.name === name)
    try {
      if (server !== undefined) return findServer(server, folder).programs
    } catch {
      // It was not fetched, or does not run here: the next one.
    }
  }
  return {}
}
