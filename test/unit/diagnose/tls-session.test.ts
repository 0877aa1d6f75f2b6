import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareSessions } from '../../../src/diagnose/tls-session.ts'

// As Node.js has it on this end, and as the server says it of the same connection. The names of wolfSSL are
// those that MariaDB 11.4.5, which is built with wolfSSL 5.7.6, gave to Node.js 24.
for (const [title, version, cipher, standardCipher, said] of [
  ['OpenSSL', 'TLSv1.3', 'TLS_AES_256_GCM_SHA384', 'TLS_AES_256_GCM_SHA384', 'TLS_AES_256_GCM_SHA384'],
  ['wolfSSL', 'TLSv1.3', 'TLS_AES_256_GCM_SHA384', 'TLS_AES_256_GCM_SHA384', 'TLS13-AES256-GCM-SHA384'],
  ['wolfSSL', 'TLSv1.3', 'TLS_AES_128_GCM_SHA256', 'TLS_AES_128_GCM_SHA256', 'TLS13-AES128-GCM-SHA256'],
  [
    'wolfSSL',
    'TLSv1.3',
    'TLS_CHACHA20_POLY1305_SHA256',
    'TLS_CHACHA20_POLY1305_SHA256',
    'TLS13-CHACHA20-POLY1305-SHA256',
  ],
  [
    'wolfSSL',
    'TLSv1.2',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
  ],
  [
    'the name that IANA has',
    'TLSv1.2',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
    'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
  ],
] as const) {
  test(`takes ${said} of ${title} for the same cipher`, () => {
    const { finding, details } = compareSessions(
      { version, cipher, standardCipher },
      { version, cipher: said },
    )
    assert.equal(finding, `${version}, ${cipher}, and the server says the same`)
    assert.equal(details?.serverCipher, said)
  })
}

const own = {
  version: 'TLSv1.3',
  cipher: 'TLS_AES_256_GCM_SHA384',
  standardCipher: 'TLS_AES_256_GCM_SHA384',
}

for (const [title, server, said] of [
  [
    'another cipher of wolfSSL',
    { version: 'TLSv1.3', cipher: 'TLS13-AES128-GCM-SHA256' },
    'TLSv1.3, TLS13-AES128-GCM-SHA256',
  ],
  [
    'a cipher of almost the same name',
    { version: 'TLSv1.3', cipher: 'TLS_AES_128_CCM_8_SHA256' },
    'TLSv1.3, TLS_AES_128_CCM_8_SHA256',
  ],
  [
    'another version',
    { version: 'TLSv1.2', cipher: 'ECDHE-RSA-AES256-GCM-SHA384' },
    'TLSv1.2, ECDHE-RSA-AES256-GCM-SHA384',
  ],
  ['no TLS', undefined, 'no TLS'],
] as const) {
  test(`says that something stands in between where the server sees ${title}`, () => {
    assert.equal(
      compareSessions(own, server).finding,
      `TLSv1.3, TLS_AES_256_GCM_SHA384 from here; the server says ${said}, so a proxy or a gateway stands in between`,
    )
  })
}
