import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRegistry } from '../../local/registry.ts'

// npm tells a registry as it is configured, often without a slash at the end.
for (const upstream of ['https://packages.example.com/npm', 'https://packages.example.com/npm/'])
  test(`leads on to ${upstream} for packages of others`, async t => {
    const registry = await startRegistry([], upstream)
    t.after(() => registry.close())
    for (const path of ['esbuild', '@aws-sdk%2fclient-lambda', 'esbuild/-/esbuild-0.28.2.tgz']) {
      const { status, headers } = await fetch(`${registry.url}${path}`, { redirect: 'manual' })
      assert.deepEqual([status, headers.get('location')], [307, `https://packages.example.com/npm/${path}`])
    }
  })
