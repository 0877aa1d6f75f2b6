// npm run site: builds site/dist from the pages of this repository, and installs what that needs where it is
// missing: it stands in site/ alone, so that `npm ci` at the root does not bring it.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './packages.ts'

const site = join(root, 'site')
const runNpm = (...args: readonly string[]) => execFileSync('npm', args, { cwd: site, stdio: 'inherit' })

if (!existsSync(join(site, 'node_modules'))) runNpm('ci', '--ignore-scripts', '--no-audit', '--no-fund')
runNpm('run', '--silent', 'build')
