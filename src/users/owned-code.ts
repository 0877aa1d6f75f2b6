import { quotePostgresText } from '../identifiers/sql.ts'

/**
 * Writes the body of an anonymous block for PostgreSQL that disarms what a role has made, before another role
 * takes it over. Some code runs with the rights of who owns it, and the new owner may do more than the old one:
 * - a routine with `SECURITY DEFINER`, which becomes one with `SECURITY INVOKER`;
 * - a view or a rule, which reads and writes as its owner: everybody else loses their privileges on it;
 * - an index or statistics over a function or an operator of somebody's own, which maintenance calls as the
 *   owner of the table: it is dropped.
 *
 * @param user The role, unquoted.
 * @see https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
 * @see https://www.postgresql.org/docs/current/rules-privileges.html
 */
export function disarmOwnedCode(user: string): readonly string[] {
  const role = `(SELECT oid FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) ${quotePostgresText(user)})`
  const is = 'OPERATOR(pg_catalog.=)'
  const catalogue = (name: string) => `'pg_catalog.${name}'::pg_catalog.regclass`
  // Built-in functions and operators have no entry here.
  const callsSomebody = (of: string, id: string) =>
    `EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid ${is} ${catalogue(of)} AND d.objid ${is} ${id} ` +
    `AND (d.refclassid ${is} ${catalogue('pg_proc')} OR d.refclassid ${is} ${catalogue('pg_operator')}))`
  return [
    'DECLARE',
    '  statement pg_catalog.text;',
    'BEGIN',
    '  FOR statement IN',
    "    SELECT pg_catalog.format('ALTER ROUTINE %s SECURITY INVOKER', p.oid::pg_catalog.regprocedure)",
    `      FROM pg_catalog.pg_proc p WHERE p.proowner ${is} ${role} AND p.prosecdef`,
    '    UNION ALL',
    "    SELECT DISTINCT pg_catalog.format('REVOKE ALL ON %s FROM %s CASCADE', c.oid::pg_catalog.regclass,",
    `        CASE WHEN a.grantee ${is} 0::pg_catalog.oid THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::pg_catalog.text END)`,
    '      FROM pg_catalog.pg_class c',
    '      CROSS JOIN LATERAL (',
    '        SELECT (pg_catalog.aclexplode(c.relacl)).grantee',
    '        UNION ALL SELECT (pg_catalog.aclexplode(t.attacl)).grantee',
    `          FROM pg_catalog.pg_attribute t WHERE t.attrelid ${is} c.oid) a`,
    `      WHERE c.relowner ${is} ${role} AND a.grantee OPERATOR(pg_catalog.<>) c.relowner`,
    `        AND EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class ${is} c.oid)`,
    '    UNION ALL',
    "    SELECT pg_catalog.format('DROP INDEX %s', i.indexrelid::pg_catalog.regclass)",
    `      FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid ${is} i.indexrelid`,
    `      WHERE c.relowner ${is} ${role} AND ${callsSomebody('pg_class', 'i.indexrelid')}`,
    '    UNION ALL',
    "    SELECT pg_catalog.format('DROP STATISTICS %I.%I', n.nspname, s.stxname)",
    `      FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid ${is} s.stxnamespace`,
    `      WHERE s.stxowner ${is} ${role} AND ${callsSomebody('pg_statistic_ext', 's.oid')}`,
    '  LOOP',
    '    EXECUTE statement;',
    '  END LOOP;',
    'END;',
  ]
}
