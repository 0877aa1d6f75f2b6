import { quotePostgresText } from '../identifiers/sql.ts'

/**
 * Writes the body of an anonymous block for PostgreSQL that disarms what a role has made, before another role
 * takes it over. Some code runs with the rights of who owns it, and the new owner may do more than the old one:
 * - a routine with `SECURITY DEFINER`, which becomes one with `SECURITY INVOKER`;
 * - a view or a rule, which reads and writes as its owner: everybody else loses their privileges on it;
 * - an index or statistics over a function, an operator or a type of somebody's own, which maintenance calls
 *   as the owner of the table: a domain has checks. It is dropped, and so is a constraint that needs the index;
 * - a column of a range type of somebody's own, whose function for distances ANALYZE calls: it gets no
 *   statistics any more, and what is computed of it none either.
 *
 * @param user The role, unquoted.
 * @see https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
 * @see https://www.postgresql.org/docs/current/rules-privileges.html
 * @see https://www.postgresql.org/docs/current/sql-createtype.html#SQL-CREATETYPE-RANGE
 */
export function disarmOwnedCode(user: string): readonly string[] {
  const role = `(SELECT oid FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) ${quotePostgresText(user)})`
  const is = 'OPERATOR(pg_catalog.=)'
  const catalogue = (name: string) => `'pg_catalog.${name}'::pg_catalog.regclass`
  // Built-in functions, operators and types have no entry here.
  const callsSomebody = (of: string, id: string) =>
    `EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid ${is} ${catalogue(of)} AND d.objid ${is} ${id} ` +
    `AND d.refclassid ${is} ANY (ARRAY[${['pg_proc', 'pg_operator', 'pg_type'].map(catalogue).join(', ')}]::pg_catalog.oid[]))`
  // FirstNormalObjectId: what PostgreSQL brings has a lower number. A domain over a range is analysed as one.
  const spans = (relation: string) =>
    'SELECT a.attname FROM pg_catalog.pg_attribute a ' +
    `JOIN pg_catalog.pg_type t ON t.oid ${is} a.atttypid JOIN pg_catalog.pg_proc p ON p.oid ${is} t.typanalyze::pg_catalog.oid ` +
    `WHERE a.attrelid ${is} ${relation} AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped ` +
    `AND t.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid ` +
    `AND p.proname ${is} ANY (ARRAY['range_typanalyze', 'multirange_typanalyze']::pg_catalog.name[])`
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
    "    SELECT CASE WHEN k.oid IS NULL THEN pg_catalog.format('DROP INDEX %I.%I', n.nspname, c.relname)",
    "      ELSE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::pg_catalog.regclass, k.conname) END",
    `      FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid ${is} i.indexrelid`,
    `      JOIN pg_catalog.pg_namespace n ON n.oid ${is} c.relnamespace`,
    `      LEFT JOIN pg_catalog.pg_constraint k ON k.conindid ${is} i.indexrelid AND k.conrelid ${is} i.indrelid`,
    `      WHERE c.relowner ${is} ${role} AND NOT c.relispartition AND (${callsSomebody('pg_class', 'i.indexrelid')}`,
    `        OR (i.indexprs IS NOT NULL AND EXISTS (${spans('i.indexrelid')})))`,
    '    UNION ALL',
    "    SELECT pg_catalog.format('DROP STATISTICS %I.%I', n.nspname, s.stxname)",
    `      FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid ${is} s.stxnamespace`,
    `      WHERE s.stxowner ${is} ${role} AND (${callsSomebody('pg_statistic_ext', 's.oid')}`,
    `        OR EXISTS (${spans('s.stxrelid')}))`,
    '    UNION ALL',
    "    SELECT pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', c.oid::pg_catalog.regclass, o.attname)",
    `      FROM pg_catalog.pg_class c CROSS JOIN LATERAL (${spans('c.oid')}) o`,
    `      WHERE c.relowner ${is} ${role} AND c.relkind ${is} ANY (ARRAY['r', 'p', 'm', 'f']::"char"[])`,
    '  LOOP',
    '    EXECUTE statement;',
    '  END LOOP;',
    'END;',
  ]
}
