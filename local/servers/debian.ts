import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { runChild } from './child.ts'

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * Fills a folder with packages of another Debian and all that they need, by the apt of this machine and from
 * the mirror that it has. Nothing is installed, and nothing of this machine's apt is touched.
 *
 * @param suite For example `'trixie'`.
 */
export async function unpackPackages(
  folder: string,
  suite: string,
  packages: readonly string[],
): Promise<void> {
  const work = `${folder}.apt`
  try {
    const env = { APT_CONFIG: writeAptFolder(work, suite) }
    await runChild('apt-get', ['update', '-qq'], env)
    const flags = ['-qq', '-y', '--download-only', '--no-install-recommends']
    await runChild('apt-get', ['install', ...flags, ...packages], env)
    for (const file of globSync('cache/archives/*.deb', { cwd: work }))
      await runChild('dpkg-deb', ['-x', join(work, file), folder])
    // Where packages are installed, the two are one; those of Debian 12 still have files in both.
    const [lib, usrLib] = [join(folder, 'lib'), join(folder, 'usr/lib')]
    if (existsSync(lib)) cpSync(lib, usrLib, { recursive: true, verbatimSymlinks: true })
    for (const program of globSync(programs, { cwd: join(folder, 'usr') })) wrapProgram(folder, program)
    wrapInstaller(folder)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Makes all that apt keeps, empty. @returns The path of its configuration. */
function writeAptFolder(work: string, suite: string): string {
  for (const part of ['lists/partial', 'cache/archives/partial', 'etc/preferences.d'])
    mkdirSync(join(work, part), { recursive: true })
  writeFileSync(join(work, 'status'), '')
  writeFileSync(join(work, 'etc/sources.list'), `deb [signed-by=${keyring}] ${findMirror()} ${suite} main\n`)
  const settings = {
    'Dir::State': work,
    'Dir::State::lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'Dir::Etc::sourcelist': join(work, 'etc/sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::Etc::preferencesparts': join(work, 'etc/preferences.d'),
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    'Acquire::http::Timeout': '30',
    // Without the network, it would go on with nothing.
    'APT::Update::Error-Mode': 'any',
    // It would lower itself to a user who cannot enter the folder; what it loads is verified by the keyring.
    'APT::Sandbox::User': 'root',
  }
  const file = join(work, 'apt.conf')
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${JSON.stringify(value)};\n`)
  writeFileSync(file, lines.join(''))
  return file
}

function findMirror(): string {
  if (!existsSync(keyring))
    throw new Error(`this machine has no ${keyring}, so Debian's packages cannot be verified`)
  const files = globSync(['/etc/apt/sources.list', '/etc/apt/sources.list.d/*.{list,sources}'])
  const texts = files.map(file => readFileSync(file, 'utf8').replace(/^\s*#.*/gm, ''))
  const mirror = /https?:\/\/\S+\/debian\/?(?=\s)/.exec(texts.join('\n'))?.[0]
  if (mirror === undefined) throw new Error('the apt of this machine has no mirror of Debian')
  return mirror
}

/** What is run, in the folder `usr`. */
const programs = [
  'sbin/{mysqld,mariadbd}',
  'bin/{my_print_defaults,resolveip}',
  'lib/postgresql/*/bin/{postgres,initdb}',
]

// What a server has compiled in are the folders of its own Debian.
const ownFolders: Readonly<Record<string, string>> = {
  'sbin/mysqld': [
    '--basedir="$root/usr"',
    '--lc-messages-dir="$root/usr/share/mysql"',
    '--character-sets-dir="$root/usr/share/mysql/charsets"',
    '--plugin-dir="$root/usr/lib/mysql/plugin"',
    '--secure-file-priv=NULL',
  ].join(' '),
  'sbin/mariadbd': [
    '--basedir="$root/usr"',
    '--lc-messages-dir="$root/usr/share/mariadb"',
    '--character-sets-dir="$root/usr/share/mariadb/charsets"',
    '--plugin-dir="$root/usr/lib/mysql/plugin"',
  ].join(' '),
}

/**
 * Has a program run by the loader and with the libraries of its own Debian: those of this machine may be
 * older than it needs. No root and no chroot is needed for that.
 */
function wrapProgram(folder: string, program: string): void {
  const path = join(folder, 'usr', program)
  // MariaDB comes under MySQL's name too, by a link.
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return
  renameSync(path, `${path}.elf`)
  const own = ownFolders[program]
  writeScript(path, [
    `root=$(cd "$(dirname "$0")/${relative(dirname(program), '..')}" && pwd)`,
    // The option that no file of defaults is read has to stay the first one.
    ...(own === undefined ? [] : [`first=$1; shift; set -- "$first" ${own} "$@"`]),
    'libraries=$root/usr/lib/x86_64-linux-gnu',
    // PostgreSQL finds its other files by where it is told to lie.
    `exec "$libraries/ld-linux-x86-64.so.2" --argv0 "$0" --library-path "$libraries" "$root/usr/${program}.elf" "$@"`,
  ])
}

/** MariaDB's installer looks for its programs in the system, unless it is told where they are. */
function wrapInstaller(folder: string): void {
  const path = join(folder, 'usr/bin/mariadb-install-db')
  if (!existsSync(path)) return
  renameSync(path, `${path}.own`)
  writeScript(path, ['root=$(cd "$(dirname "$0")/../.." && pwd)', 'exec "$0.own" "$@" --basedir="$root/usr"'])
}

function writeScript(path: string, lines: readonly string[]): void {
  writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'))
  chmodSync(path, 0o755)
}
