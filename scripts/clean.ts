// Empties dist/ before a build, so that a file that was renamed does not stay in the package.
import { rmSync } from 'node:fs'

const [folder = '.'] = process.argv.slice(2)
rmSync(new URL(`../${folder}/dist`, import.meta.url), { recursive: true, force: true })
