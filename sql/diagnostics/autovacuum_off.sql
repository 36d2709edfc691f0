-- question: Which tables does autovacuum leave out?
-- reads: pg_class, pg_namespace, pg_stat_all_tables
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT format('%I.%I', space.nspname, class.relname)                          AS relation,
       CASE WHEN NOT current_setting('autovacuum')::boolean THEN 'autovacuum is off for the whole server'
            ELSE 'autovacuum_enabled = false on the table' END                AS why,
       stat.n_dead_tup                                                        AS dead_rows,
       age(class.relfrozenxid)                                                AS transaction_age,
       format('ALTER TABLE %I.%I RESET (autovacuum_enabled)', space.nspname, class.relname) AS mends_it
  FROM pg_class AS class
  JOIN pg_namespace AS space ON space.oid = class.relnamespace
  LEFT JOIN pg_stat_all_tables AS stat ON stat.relid = class.oid
 WHERE class.relkind IN ('r', 'm')
   AND class.relpersistence <> 't'
   AND space.nspname NOT IN ('pg_catalog', 'information_schema')
   AND (NOT current_setting('autovacuum')::boolean
        OR EXISTS (SELECT FROM pg_options_to_table(class.reloptions)
                    WHERE option_name = 'autovacuum_enabled' AND NOT option_value::boolean))
 ORDER BY dead_rows DESC NULLS LAST, relation;
