-- question: What do the schemas of this database consist of, and is each object sound?
-- reads: pg_class, pg_attribute, pg_attrdef, pg_index, pg_constraint, pg_trigger, pg_policy, pg_rewrite, pg_sequence, pg_proc, pg_type, pg_extension, pg_namespace
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
-- Names in public stand alone, others with their schema. Not looked at: schema ops, which is this package's; what an extension
-- brought; owners, grants, comments, settings, operators, casts, text search and what belongs to no schema.
WITH space AS (
  SELECT oid,
         quote_ident(nspname)                                                    AS name,
         CASE nspname WHEN 'public' THEN '' ELSE quote_ident(nspname) || '.' END AS prefix
    FROM pg_namespace
   WHERE nspname !~ '^pg_'
     AND nspname NOT IN ('information_schema', 'ops')
), brought AS (
  SELECT classid, objid
    FROM pg_depend
   WHERE deptype = 'e'
), any_relation AS (
  SELECT class.oid, class.relkind, class.relpersistence, class.relrowsecurity, class.relforcerowsecurity, class.relispartition,
         class.relpartbound, class.reloptions, space.prefix, space.prefix || quote_ident(class.relname) AS name
    FROM pg_class AS class
    JOIN space ON space.oid = class.relnamespace
   WHERE NOT EXISTS (SELECT FROM brought WHERE brought.classid = 'pg_class'::regclass AND brought.objid = class.oid)
), relation AS (
  SELECT any_relation.oid, any_relation.relkind, any_relation.relpersistence, any_relation.relrowsecurity, any_relation.relforcerowsecurity,
         any_relation.relpartbound, any_relation.reloptions, any_relation.prefix, any_relation.name
    FROM any_relation
   WHERE any_relation.relkind IN ('r', 'p', 'f')
)
SELECT 'table'                                                                       AS kind,
       relation.name                                                                 AS name,
       concat_ws(' ', CASE relation.relpersistence WHEN 'p' THEN 'permanent' WHEN 'u' THEN 'UNLOGGED' END,
                 CASE relation.relkind WHEN 'f' THEN 'FOREIGN' END,
                 CASE WHEN relation.relrowsecurity THEN 'with row level security' END,
                 CASE WHEN relation.relforcerowsecurity THEN 'forced' END,
                 'PARTITION BY ' || pg_get_partkeydef(relation.oid),
                 (SELECT string_agg('OF ' || inherits.inhparent::regclass, ', ' ORDER BY inherits.inhseqno)
                    FROM pg_inherits AS inherits WHERE inherits.inhrelid = relation.oid),
                 pg_get_expr(relation.relpartbound, relation.oid),
                 'WITH (' || array_to_string(relation.reloptions, ', ') || ')')      AS definition,
       true                                                                          AS sound,
       ''                                                                            AS part_of
  FROM relation
 UNION ALL
SELECT 'column',
       relation.name || '.' || quote_ident(attribute.attname),
       concat_ws(' ', format_type(attribute.atttypid, attribute.atttypmod),
                 (SELECT 'COLLATE ' || quote_ident(collation_entry.collname) FROM pg_collation AS collation_entry, pg_type AS type_entry
                   WHERE collation_entry.oid = attribute.attcollation AND type_entry.oid = attribute.atttypid
                     AND attribute.attcollation <> type_entry.typcollation),
                 CASE WHEN attribute.attnotnull THEN 'NOT NULL' END,
                 CASE WHEN attribute.attidentity <> '' THEN 'IDENTITY' END,
                 CASE WHEN attribute.attgenerated <> '' THEN 'GENERATED' END,
                 'DEFAULT ' || pg_get_expr(attrdef.adbin, attrdef.adrelid)),
       true,
       relation.name
  FROM relation
  JOIN pg_attribute AS attribute ON attribute.attrelid = relation.oid
  LEFT JOIN pg_attrdef AS attrdef ON attrdef.adrelid = relation.oid AND attrdef.adnum = attribute.attnum
 WHERE attribute.attnum > 0
   AND NOT attribute.attisdropped
 UNION ALL
SELECT 'index',
       any_relation.prefix || quote_ident(index_class.relname),
       pg_get_indexdef(index_entry.indexrelid) || CASE WHEN index_entry.indisvalid AND index_entry.indisready THEN '' ELSE ' INVALID' END,
       index_entry.indisvalid AND index_entry.indisready,
       any_relation.name
  FROM any_relation
  JOIN pg_index AS index_entry ON index_entry.indrelid = any_relation.oid
  JOIN pg_class AS index_class ON index_class.oid = index_entry.indexrelid
 WHERE any_relation.relkind IN ('r', 'p', 'm')
 UNION ALL
-- PostgreSQL 18 lists NOT NULL among the constraints; here it belongs to the column.
-- A foreign key whose triggers are disabled is not enforced, although it counts as validated.
SELECT CASE constraint_entry.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END,
       relation.name || '.' || quote_ident(constraint_entry.conname),
       pg_get_constraintdef(constraint_entry.oid) || CASE WHEN enforced.yes THEN '' ELSE ' DISABLED' END,
       constraint_entry.convalidated AND enforced.yes,
       relation.name
  FROM relation
  JOIN pg_constraint AS constraint_entry ON constraint_entry.conrelid = relation.oid
 CROSS JOIN LATERAL (
   SELECT count(*) = 0 AS yes
     FROM pg_trigger AS trigger_entry
    WHERE trigger_entry.tgconstraint = constraint_entry.oid
      AND trigger_entry.tgenabled NOT IN ('O', 'A')
 ) AS enforced
 WHERE constraint_entry.contype <> 'n'
 UNION ALL
SELECT 'trigger',
       any_relation.name || '.' || quote_ident(trigger_entry.tgname),
       pg_get_triggerdef(trigger_entry.oid),
       trigger_entry.tgenabled IN ('O', 'A'),
       any_relation.name
  FROM any_relation
  JOIN pg_trigger AS trigger_entry ON trigger_entry.tgrelid = any_relation.oid
 WHERE NOT trigger_entry.tgisinternal
 UNION ALL
SELECT 'policy',
       relation.name || '.' || quote_ident(policy.polname),
       concat_ws(' ', CASE WHEN policy.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                 CASE policy.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                 'TO ' || (SELECT string_agg(CASE role_id WHEN 0 THEN 'PUBLIC' ELSE role_id::regrole::text END, ', ' ORDER BY role_id::regrole::text)
                             FROM unnest(policy.polroles) AS role_id),
                 'USING (' || pg_get_expr(policy.polqual, policy.polrelid) || ')',
                 'WITH CHECK (' || pg_get_expr(policy.polwithcheck, policy.polrelid) || ')'),
       true,
       relation.name
  FROM relation
  JOIN pg_policy AS policy ON policy.polrelid = relation.oid
 UNION ALL
SELECT 'rule',
       any_relation.name || '.' || quote_ident(rewrite.rulename),
       pg_get_ruledef(rewrite.oid),
       rewrite.ev_enabled IN ('O', 'A'),
       any_relation.name
  FROM any_relation
  JOIN pg_rewrite AS rewrite ON rewrite.ev_class = any_relation.oid
 WHERE rewrite.rulename <> '_RETURN'
 UNION ALL
SELECT CASE any_relation.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END,
       any_relation.name,
       concat_ws(' ', 'WITH (' || array_to_string(any_relation.reloptions, ', ') || ')', pg_get_viewdef(any_relation.oid)),
       true,
       ''
  FROM any_relation
 WHERE any_relation.relkind IN ('v', 'm')
 UNION ALL
SELECT 'sequence',
       any_relation.name,
       concat_ws(' ', format_type(sequence.seqtypid, NULL), 'START', sequence.seqstart, 'INCREMENT', sequence.seqincrement,
                 'FROM', sequence.seqmin, 'TO', sequence.seqmax, CASE WHEN sequence.seqcycle THEN 'CYCLE' END),
       true,
       coalesce((SELECT max(owner_table.name) FROM pg_depend AS depend JOIN any_relation AS owner_table ON owner_table.oid = depend.refobjid
                  WHERE depend.classid = 'pg_class'::regclass AND depend.objid = any_relation.oid AND depend.deptype IN ('a', 'i')
                    AND depend.refclassid = 'pg_class'::regclass), '')
  FROM any_relation
  JOIN pg_sequence AS sequence ON sequence.seqrelid = any_relation.oid
 UNION ALL
SELECT CASE function.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
       space.prefix || quote_ident(function.proname) || '(' || pg_get_function_identity_arguments(function.oid) || ')',
       CASE function.prokind WHEN 'a' THEN pg_get_function_result(function.oid) ELSE pg_get_functiondef(function.oid) END,
       true,
       ''
  FROM pg_proc AS function
  JOIN space ON space.oid = function.pronamespace
 WHERE NOT EXISTS (SELECT FROM brought WHERE brought.classid = 'pg_proc'::regclass AND brought.objid = function.oid)
   -- A range type brings constructors of its own.
   AND NOT EXISTS (SELECT FROM pg_depend AS depend WHERE depend.classid = 'pg_proc'::regclass AND depend.objid = function.oid AND depend.deptype = 'i')
 UNION ALL
SELECT 'type',
       space.prefix || quote_ident(type_entry.typname),
       CASE type_entry.typtype
         WHEN 'e' THEN 'ENUM ' || (SELECT string_agg(quote_literal(label.enumlabel), ', ' ORDER BY label.enumsortorder) FROM pg_enum AS label
                                    WHERE label.enumtypid = type_entry.oid)
         WHEN 'd' THEN concat_ws(' ', 'DOMAIN', format_type(type_entry.typbasetype, type_entry.typtypmod), CASE WHEN type_entry.typnotnull THEN 'NOT NULL' END,
                                 'DEFAULT ' || type_entry.typdefault,
                                 (SELECT string_agg(quote_ident(limits.conname) || ' ' || pg_get_constraintdef(limits.oid), ' ' ORDER BY limits.conname)
                                    FROM pg_constraint AS limits WHERE limits.contypid = type_entry.oid AND limits.contype = 'c'))
         WHEN 'r' THEN 'RANGE of ' || (SELECT format_type(range_entry.rngsubtype, NULL) FROM pg_range AS range_entry WHERE range_entry.rngtypid = type_entry.oid)
         ELSE 'COMPOSITE ' || (SELECT string_agg(quote_ident(part.attname) || ' ' || format_type(part.atttypid, part.atttypmod), ', ' ORDER BY part.attnum)
                                 FROM pg_attribute AS part WHERE part.attrelid = type_entry.typrelid AND part.attnum > 0 AND NOT part.attisdropped)
       END,
       true,
       ''
  FROM pg_type AS type_entry
  JOIN space ON space.oid = type_entry.typnamespace
 WHERE (type_entry.typtype IN ('e', 'd', 'r')
        OR type_entry.typtype = 'c' AND EXISTS (SELECT FROM any_relation WHERE any_relation.oid = type_entry.typrelid AND any_relation.relkind = 'c'))
   AND NOT EXISTS (SELECT FROM brought WHERE brought.classid = 'pg_type'::regclass AND brought.objid = type_entry.oid)
 UNION ALL
-- Without its version, which differs from cluster to cluster; those in pg_catalog came with the server.
SELECT 'extension',
       quote_ident(extension.extname),
       'in schema ' || quote_ident(namespace.nspname),
       true,
       ''
  FROM pg_extension AS extension
  JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
 WHERE namespace.nspname <> 'pg_catalog'
 UNION ALL
SELECT 'schema',
       space.name,
       'of the database',
       true,
       ''
  FROM space
 WHERE space.name <> 'public'
   AND NOT EXISTS (SELECT FROM brought WHERE brought.classid = 'pg_namespace'::regclass AND brought.objid = space.oid)
 ORDER BY 1, 2;
