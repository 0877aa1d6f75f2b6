import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findOnPath } from '../../kit/src/database/mysql-program.ts'
import { buildPlugin } from '../../local/plugins/build.ts'
import { root } from '../../local/template.ts'
import { setEnvironment } from '../support/environment.ts'

/** @returns A copy of the sources, and an empty cache, which end with the test. */
function makeFolders(t: { after(end: () => unknown): void }): {
  readonly sources: string
  readonly cache: string
} {
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-plugins-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const [sources, cache] = [join(folder, 'sources'), join(folder, 'cache')]
  cpSync(join(root, 'local', 'plugins'), sources, { recursive: true })
  return { sources, cache }
}

const skip = findOnPath('cc') === undefined && 'there is no C compiler'

test('builds each plugin once, until its sources change', { skip }, async t => {
  const { sources, cache } = makeFolders(t)
  for (const name of ['mysql', 'mariadb', 'pam'] as const) {
    const library = await buildPlugin(name, sources, cache)
    const { ctimeMs } = statSync(library)
    assert.equal(await buildPlugin(name, sources, cache), library)
    assert.equal(statSync(library).ctimeMs, ctimeMs)
  }
  const before = await buildPlugin('mysql', sources, cache)
  writeFileSync(join(sources, 'verifier.h'), '#include "changed.h"\n')
  await assert.rejects(buildPlugin('mysql', sources, cache), /changed\.h/)
  writeFileSync(join(sources, 'changed.h'), 'static int is_good() { return 1; }\n#include <string.h>\n')
  assert.notEqual(await buildPlugin('mysql', sources, cache), before)
})

test('says in one line what does not build, and leaves nothing of it', { skip }, async t => {
  const { sources, cache } = makeFolders(t)
  writeFileSync(join(sources, 'mariadb.c'), '#include "clear-password.h"\nint unfinished = NONSENSE;\n')
  await assert.rejects(buildPlugin('mariadb', sources, cache), {
    message: /^cc ended with 1: .*mariadb\.c:2:\d+: error: .NONSENSE. undeclared[^\n]*$/,
  })
  assert.deepEqual(readdirSync(cache), [])
})

test('says what to install where there is no compiler', async t => {
  const { sources, cache } = makeFolders(t)
  setEnvironment(t, { PATH: '/nonexistent' })
  await assert.rejects(buildPlugin('pam', sources, cache), {
    message: 'cc is not there; on Debian: apt-get install gcc libc6-dev',
  })
})
