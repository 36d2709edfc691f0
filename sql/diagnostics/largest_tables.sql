-- question: Which tables take the most room, and how much of it are indexes and large values?
-- reads: pg_class, pg_namespace
-- lock: none
-- role: pg_monitor
-- cost: a file size for each table and index
-- versions: 13 and later
SELECT format('%I.%I', space.nspname, class.relname)                          AS relation,
       greatest(class.reltuples, 0)::bigint                                   AS rows_estimated,
       round(pg_total_relation_size(class.oid) / 1048576.0, 1)                AS mib,
       round(pg_relation_size(class.oid) / 1048576.0, 1)                      AS rows_mib,
       round(pg_indexes_size(class.oid) / 1048576.0, 1)                       AS indexes_mib,
       round(coalesce(pg_total_relation_size(nullif(class.reltoastrelid, 0)), 0) / 1048576.0, 1) AS large_values_mib
  FROM pg_class AS class
  JOIN pg_namespace AS space ON space.oid = class.relnamespace
 WHERE class.relkind IN ('r', 'm')
   AND space.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY mib DESC, relation
 LIMIT 20;
