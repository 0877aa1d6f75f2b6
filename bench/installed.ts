import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../local/template.ts'

/** The package as npm installs it. */
export interface Installed {
  /** A project that has it in `node_modules`, and the modules of `bench/imports/<engine>` beside that. */
  readonly project: string
  /** All its files, in MB, that is 1 000 000 bytes. */
  readonly sizeMB: number
}

/** Packs the package, and unpacks it where the driver and the AWS SDK are found too, in the folder above. */
export function installPackage(engine: string): Installed {
  const project = join(root, '.local', 'bench', engine)
  const folder = join(project, 'node_modules', 'middy-rds-iam')
  rmSync(project, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  // Without a package of its own, the project would be part of this one, and import from the checkout.
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
  const args = ['pack', '--json', '--pack-destination', project]
  const [packed] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }))
  execFileSync('tar', ['-xzf', join(project, packed.filename), '--strip-components=1', '-C', folder])
  cpSync(join(root, 'bench', 'imports', engine), project, { recursive: true })
  return { project, sizeMB: packed.unpackedSize / 1e6 }
}
