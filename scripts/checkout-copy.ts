import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { root } from './packages.ts'

/** What is of no use in a copy, or is made anew there. */
const left = [
  '.git',
  '.local',
  '.aws-sam',
  'node_modules',
  'kit/dist',
  'kit/node_modules',
  'dist',
  'roots',
  'site',
]

/** The workspaces, by the names under which npm links them. */
const workspaces: Readonly<Record<string, string>> = {
  'middy-rds-iam': '..',
  'rds-iam-kit': '../kit',
  'local-mysql-server': '../local/mysql-server',
}

/**
 * Copies this checkout. The copy finds the packages of this one, and itself under its own names.
 *
 * @param own Packages that it finds elsewhere, by their names, each with its folder.
 */
export function copyCheckout(to: string, own: Readonly<Record<string, string>> = {}): void {
  mkdirSync(to, { recursive: true })
  const filter = (path: string) => !left.includes(relative(root, path)) && !path.endsWith('.tgz')
  // One after the other: Node.js copies no folder into one of its own, which .local is.
  for (const name of readdirSync(root))
    if (filter(join(root, name))) cpSync(join(root, name), join(to, name), { recursive: true, filter })
  const installed = join(root, 'node_modules')
  const names = readdirSync(installed).flatMap(name =>
    name.startsWith('@') ? readdirSync(join(installed, name)).map(other => `${name}/${other}`) : name,
  )
  for (const name of new Set([...Object.keys(own), ...names])) {
    const link = join(to, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    const target = workspaces[name] ?? own[name] ?? join(installed, name)
    if (!existsSync(link)) symlinkSync(target, link)
  }
}
