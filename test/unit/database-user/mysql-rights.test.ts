import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readGrant } from '../../../src/database-user/mysql-rights.ts'

// As MySQL 5.6, 8.0 and 9, and MariaDB 10.11 write them.
for (const [statement, rights] of [
  ["GRANT USAGE ON *.* TO 'x'@'%' REQUIRE SSL", []],
  ["GRANT USAGE ON *.* TO `x`@`%` IDENTIFIED BY PASSWORD '*0' WITH GRANT OPTION", ['GRANT OPTION ON *.*']],
  ['GRANT SELECT, INSERT ON `a`.`b` TO `x`@`%`', ['SELECT ON `a`.`b`', 'INSERT ON `a`.`b`']],
  [
    'GRANT SELECT (`a, b`, `c) ON d`), UPDATE ON `a`.`b` TO `x`@`%`',
    ['SELECT (`a, b`) ON `a`.`b`', 'SELECT (`c) ON d`) ON `a`.`b`', 'UPDATE ON `a`.`b`'],
  ],
  [
    'GRANT ALL PRIVILEGES ON `a`.* TO `x`@`%` WITH GRANT OPTION',
    ['ALL PRIVILEGES ON `a`.*', 'GRANT OPTION ON `a`.*'],
  ],
  [
    'GRANT EXECUTE ON PROCEDURE `a`.`b TO c ON d, e` TO `x`@`%`',
    ['EXECUTE ON PROCEDURE `a`.`b TO c ON d, e`'],
  ],
  ['GRANT BACKUP_ADMIN,ROLE_ADMIN ON *.* TO `x`@`%`', ['BACKUP_ADMIN ON *.*', 'ROLE_ADMIN ON *.*']],
  ['GRANT `r`@`%`,`s, t`@`%` TO `x`@`%`', ['`r`@`%`', '`s, t`@`%`']],
  ['GRANT `r` TO `x`@`%`', ['`r`']],
  ["GRANT SELECT ON `a``; b`.`c` TO 'it''s WITH GRANT OPTION'@'%'", ['SELECT ON `a``; b`.`c`']],
  ['REVOKE SELECT ON `mysql`.* FROM `x`@`%`', []],
  ['SET DEFAULT ROLE `r` FOR `x`@`%`', []],
] as const) {
  test(`takes apart ${statement}`, () => {
    assert.deepEqual(readGrant(statement), rights)
  })
}
