import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import forge from 'node-forge'
import { runModule } from '../../../test/support/node-process.ts'
import { UsageError } from '../../src/cli/arguments.ts'
import { keepAuthority } from '../../src/cli/kept-authority.ts'
import { makeAuthorityPem } from '../../src/gateway/certificate.ts'

const base = mkdtempSync(join(tmpdir(), 'rds-iam-kept-authority-'))
after(() => rmSync(base, { recursive: true }))
let count = 0
const makeFolder = () => {
  count += 1
  return join(base, String(count))
}
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)
const noWindows = process.platform === 'win32' && 'modes say nothing on Windows'

test('is the same at the next start, for years, and whoever has its certificate trusts what it issues', async () => {
  const folder = makeFolder()
  const first = await keepAuthority(folder, fail)
  const second = await keepAuthority(folder, fail)
  assert.equal(second.authority.ca, first.authority.ca)
  assert.equal(readFileSync(second.caFile, 'utf8'), first.authority.ca)
  const root = new X509Certificate(first.authority.ca)
  assert.ok(new Date(root.validTo).getTime() > Date.now() + 9 * 365 * 86_400_000)
  const leaf = new X509Certificate((await second.authority.issue({ names: ['localhost'] })).cert)
  assert.ok(leaf.checkIssued(root) && leaf.verify(root.publicKey))
  assert.deepEqual(readdirSync(folder).sort(), ['.gitignore', 'authority.pem', 'ca.pem'])
  assert.equal(readFileSync(join(folder, '.gitignore'), 'utf8'), '*\n')
})

test('its private key is for the user alone, whatever the umask, from the first moment on', {
  skip: noWindows,
}, async () => {
  const folder = makeFolder()
  const seen = (await runModule(`
    import fs from 'node:fs'
    import { syncBuiltinESMExports } from 'node:module'
    process.umask(0)
    const seen = []
    const { writeFileSync, chmodSync } = fs
    fs.writeFileSync = (path, ...rest) => {
      writeFileSync(path, ...rest)
      seen.push([path.slice(${folder.length + 1}).replace(/\\.[0-9a-f]{12}$/, ''), (fs.statSync(path).mode & 0o777).toString(8)])
    }
    fs.chmodSync = () => { throw new Error('a mode comes too late') }
    syncBuiltinESMExports()
    const { keepAuthority } = await import('./kit/src/cli/kept-authority.ts')
    await keepAuthority(${JSON.stringify(folder)})
    console.log(JSON.stringify(seen))
  `)) as [string, string][]
  assert.deepEqual(seen.toSorted(), [
    ['.gitignore', '644'],
    ['authority.pem', '600'],
    ['ca.pem', '644'],
  ])
  assert.equal(modeOf(folder), '700')
  assert.equal(modeOf(join(folder, 'authority.pem')), '600')
})

test('removing it makes a new one, without a word', async () => {
  const folder = makeFolder()
  const first = await keepAuthority(folder, fail)
  rmSync(join(folder, 'authority.pem'))
  const second = await keepAuthority(folder, fail)
  assert.notEqual(second.authority.ca, first.authority.ca)
  assert.equal(readFileSync(second.caFile, 'utf8'), second.authority.ca)
})

const pem = await makeAuthorityPem('RDS IAM gateway')
const other = await makeAuthorityPem('RDS IAM gateway')
const [certificate = '', key = ''] = pem.split(/(?=-----BEGIN RSA)/)
for (const [what, text, problem] of [
  ['empty', '', /is not a certificate and its private key/],
  ['written by half', pem.slice(0, pem.length - 200), /is not a certificate and its private key/],
  ['changed', pem.replace(/\n[^-\n]+\n/, '\nAAAA\n'), /cannot be read/],
  ['without its key', certificate, /is not a certificate and its private key/],
  [
    'with the key of another one',
    other.split(/(?=-----BEGIN RSA)/)[0] + key,
    /is not an authority and its own/,
  ],
  ['no authority', makeEnding(3650, false), /is not an authority and its own/],
  ['about to end', makeEnding(29, true), /ends on \d{4}-\d\d-\d\d/],
] as const) {
  test(`one that is ${what} is replaced, and that is said`, async () => {
    const folder = makeFolder()
    mkdirSync(folder)
    const path = join(folder, 'authority.pem')
    writeFileSync(path, text, { mode: 0o600 })
    const told: string[] = []
    const { authority } = await keepAuthority(folder, line => told.push(line))
    assert.match(told.join('\n'), problem)
    assert.match(
      told.join('\n'),
      /a new authority takes its place\. Clients have to trust .*ca\.pem again\.$/,
    )
    assert.equal(told.length, 1)
    assert.ok(readFileSync(path, 'utf8').startsWith(authority.ca.trim()))
    assert.equal((await keepAuthority(folder, fail)).authority.ca, authority.ca)
  })
}

test('one that others could read is replaced, and that is said', { skip: noWindows }, async () => {
  const folder = makeFolder()
  const first = await keepAuthority(folder, fail)
  chmodSync(join(folder, 'authority.pem'), 0o640)
  const told: string[] = []
  const second = await keepAuthority(folder, line => told.push(line))
  assert.match(told[0] ?? '', /may be read by others: a new authority takes its place/)
  assert.notEqual(second.authority.ca, first.authority.ca)
  assert.equal(modeOf(join(folder, 'authority.pem')), '600')
})

test('a folder that others could write to is not used, nor one that somebody else has made', {
  skip: noWindows,
}, async () => {
  const open = makeFolder()
  mkdirSync(open)
  chmodSync(open, 0o777)
  const refused = (folder: string, reason: RegExp) =>
    assert.rejects(keepAuthority(folder, fail), error => {
      assert.ok(error instanceof UsageError)
      assert.match(error.message, reason)
      return true
    })
  await refused(open, /others may write to it/)
  assert.deepEqual(readdirSync(open), [])
  // Only root can give a folder away.
  if (process.getuid?.() !== 0) return
  const foreign = makeFolder()
  mkdirSync(foreign, { mode: 0o700 })
  chownSync(foreign, 65_534, 65_534)
  await refused(foreign, /it belongs to another user/)
  assert.deepEqual(readdirSync(foreign), [])
  // Whoever has the project has what is in it: root in a container works for the user outside.
  const project = makeFolder()
  mkdirSync(join(project, '.rds-iam'), { recursive: true, mode: 0o700 })
  for (const path of [project, join(project, '.rds-iam')]) chownSync(path, 65_534, 65_534)
  await keepAuthority(join(project, '.rds-iam'), fail)
})

test('what cannot be read or written is left alone and named', async () => {
  const folder = makeFolder()
  mkdirSync(join(folder, 'authority.pem'), { recursive: true })
  await assert.rejects(keepAuthority(folder, fail), error => {
    assert.ok(error instanceof UsageError)
    assert.match(
      error.message,
      /authority\.pem cannot be used: EISDIR.*\. Give it back to this user, or remove it$/,
    )
    return true
  })
  const file = join(folder, 'file')
  writeFileSync(file, '')
  await assert.rejects(keepAuthority(join(file, 'below'), fail), UsageError)
})

for (const [state, text] of [
  ['none', undefined],
  ['a broken one', 'broken'],
] as const) {
  test(`gateways that start at once where there is ${state} have the same one`, async () => {
    const folder = makeFolder()
    mkdirSync(folder)
    if (text !== undefined) writeFileSync(join(folder, 'authority.pem'), text, { mode: 0o600 })
    const program = `
      const { keepAuthority } = await import('./kit/src/cli/kept-authority.ts')
      const { authority } = await keepAuthority(${JSON.stringify(folder)}, () => {})
      console.log(JSON.stringify(authority.ca))`
    const seen = await Promise.all(Array.from({ length: 4 }, () => runModule(program)))
    assert.equal(new Set(seen).size, 1)
    assert.equal(readFileSync(join(folder, 'ca.pem'), 'utf8'), seen[0])
    assert.deepEqual(readdirSync(folder).sort(), ['.gitignore', 'authority.pem', 'ca.pem'])
  })
}

function fail(line: string): never {
  throw new Error(`said ${line}`)
}

/** The same authority with another end. */
function makeEnding(days: number, isAuthority: boolean): string {
  const made = forge.pki.certificateFromPem(certificate)
  made.validity.notAfter = new Date(Date.now() + days * 86_400_000)
  made.setExtensions([{ name: 'basicConstraints', cA: isAuthority, critical: true }])
  made.sign(forge.pki.privateKeyFromPem(key), forge.md.sha256.create())
  return `${forge.pki.certificateToPem(made)}${key}`
}
