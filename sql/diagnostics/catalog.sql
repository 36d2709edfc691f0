-- question: What does schema public consist of: tables, columns, indexes, constraints and triggers, and is each of them sound?
-- reads: pg_class, pg_attribute, pg_attrdef, pg_index, pg_constraint, pg_trigger
-- lock: none
-- role: pg_monitor
-- cost: instant
WITH relation AS (
  SELECT class.oid, class.relname, class.relpersistence, class.relrowsecurity
    FROM pg_class AS class
   WHERE class.relnamespace = 'public'::regnamespace
     AND class.relkind IN ('r', 'p')
)
SELECT 'table'                                                                       AS kind,
       relation.relname::text                                                        AS name,
       concat_ws(' ', CASE relation.relpersistence WHEN 'p' THEN 'permanent' WHEN 'u' THEN 'UNLOGGED' END,
                 CASE WHEN relation.relrowsecurity THEN 'with row level security' END) AS definition,
       true                                                                          AS sound
  FROM relation
 UNION ALL
SELECT 'column',
       relation.relname || '.' || attribute.attname,
       concat_ws(' ', format_type(attribute.atttypid, attribute.atttypmod),
                 CASE WHEN attribute.attnotnull THEN 'NOT NULL' END,
                 CASE WHEN attribute.attidentity <> '' THEN 'IDENTITY' END,
                 CASE WHEN attribute.attgenerated <> '' THEN 'GENERATED' END,
                 'DEFAULT ' || pg_get_expr(attrdef.adbin, attrdef.adrelid)),
       true
  FROM relation
  JOIN pg_attribute AS attribute ON attribute.attrelid = relation.oid
  LEFT JOIN pg_attrdef AS attrdef ON attrdef.adrelid = relation.oid AND attrdef.adnum = attribute.attnum
 WHERE attribute.attnum > 0
   AND NOT attribute.attisdropped
 UNION ALL
SELECT 'index',
       index_class.relname,
       pg_get_indexdef(index_entry.indexrelid) || CASE WHEN index_entry.indisvalid AND index_entry.indisready THEN '' ELSE ' INVALID' END,
       index_entry.indisvalid AND index_entry.indisready
  FROM relation
  JOIN pg_index AS index_entry ON index_entry.indrelid = relation.oid
  JOIN pg_class AS index_class ON index_class.oid = index_entry.indexrelid
 UNION ALL
-- PostgreSQL 18 lists NOT NULL among the constraints; here it belongs to the column.
-- A foreign key whose triggers are disabled is not enforced, although it counts as validated.
SELECT CASE constraint_entry.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END,
       relation.relname || '.' || constraint_entry.conname,
       pg_get_constraintdef(constraint_entry.oid) || CASE WHEN enforced.yes THEN '' ELSE ' DISABLED' END,
       constraint_entry.convalidated AND enforced.yes
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
       relation.relname || '.' || trigger_entry.tgname,
       pg_get_triggerdef(trigger_entry.oid),
       trigger_entry.tgenabled IN ('O', 'A')
  FROM relation
  JOIN pg_trigger AS trigger_entry ON trigger_entry.tgrelid = relation.oid
 WHERE NOT trigger_entry.tgisinternal
 ORDER BY 1, 2;
