// npm run check:packages: packs both packages, and asks publint and Are The Types Wrong whether whoever
// installs them can use them: every suggestion and every problem is an error.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageFolders, packPackage, readManifest } from './packages.ts'

// 57 packages, a TypeScript of its own among them: too much for everybody's `npm ci`.
const attw = '@arethetypeswrong/cli@0.18.5'

const folder = mkdtempSync(join(tmpdir(), 'check-packages-'))
try {
  for (const path of packageFolders) {
    const { exports } = readManifest(path)
    const tarball = packPackage(path, folder)
    execFileSync('npm', ['exec', '--', 'publint', '--strict', tarball], { stdio: 'inherit' })
    // It does not look behind patterns by itself. There is no CommonJS here that could be wrong.
    const included =
      './roots/*' in exports ? ['--include-entrypoints', './roots/index', './roots/eu-west-1'] : []
    const flags = ['--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji', ...included]
    execFileSync('npm', ['exec', '--yes', '--', attw, tarball, ...flags], { stdio: 'inherit' })
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
