-- question: Which tables are next in line for a vacuum against wraparound?
-- reads: pg_class, pg_namespace
-- lock: none
-- role: pg_monitor
-- cost: a file size for each of 20 tables, after a sort of pg_class
-- versions: 13 and later
SELECT format('%I.%I', space.nspname, class.relname)                          AS relation,
       greatest(age(class.relfrozenxid), age(toast.relfrozenxid))             AS transaction_age,
       round(100.0 * greatest(age(class.relfrozenxid), age(toast.relfrozenxid))
             / current_setting('autovacuum_freeze_max_age')::bigint, 1)       AS percent_of_forced_vacuum,
       round(pg_table_size(class.oid) / 1048576.0, 1)                         AS mib
  FROM pg_class AS class
  JOIN pg_namespace AS space ON space.oid = class.relnamespace
  LEFT JOIN pg_class AS toast ON toast.oid = class.reltoastrelid
 WHERE class.relkind IN ('r', 'm')
   AND class.relpersistence <> 't'
 ORDER BY transaction_age DESC, relation
 LIMIT 20;
