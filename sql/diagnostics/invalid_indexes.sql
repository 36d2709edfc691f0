-- question: Which indexes are invalid, and so are written and never read?
-- reads: pg_index, pg_class, pg_namespace
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT format('%I.%I', space.nspname, class.relname)                          AS index,
       entry.indrelid::regclass::text                                         AS relation,
       entry.indisvalid                                                       AS valid,
       entry.indisready                                                       AS ready,
       round(pg_relation_size(class.oid) / 1048576.0, 1)                      AS mib,
       format('REINDEX INDEX CONCURRENTLY %I.%I', space.nspname, class.relname) AS mends_it
  FROM pg_index AS entry
  JOIN pg_class AS class ON class.oid = entry.indexrelid AND class.relkind = 'i'
  JOIN pg_namespace AS space ON space.oid = class.relnamespace
 WHERE NOT (entry.indisvalid AND entry.indisready AND entry.indislive)
   AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS building WHERE building.index_relid = entry.indexrelid)
 ORDER BY index;
