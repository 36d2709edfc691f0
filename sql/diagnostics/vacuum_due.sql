-- question: Which tables hold more dead rows than autovacuum lets stand, and when were they last vacuumed?
-- reads: pg_stat_all_tables, pg_class, pg_namespace
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
-- A table stands here for a minute at most where autovacuum keeps up; horizon says what holds it back.
WITH setting AS (
  SELECT class.oid, format('%I.%I', space.nspname, class.relname) AS relation, class.reltuples,
         coalesce((SELECT option_value FROM pg_options_to_table(class.reloptions) WHERE option_name = 'autovacuum_enabled')::boolean, true) AS enabled,
         coalesce((SELECT option_value FROM pg_options_to_table(class.reloptions) WHERE option_name = 'autovacuum_vacuum_threshold')::float,
                  current_setting('autovacuum_vacuum_threshold')::float) AS threshold,
         coalesce((SELECT option_value FROM pg_options_to_table(class.reloptions) WHERE option_name = 'autovacuum_vacuum_scale_factor')::float,
                  current_setting('autovacuum_vacuum_scale_factor')::float) AS scale_factor
    FROM pg_class AS class
    JOIN pg_namespace AS space ON space.oid = class.relnamespace
   WHERE class.relkind IN ('r', 'm')
     AND class.relpersistence <> 't'
)
SELECT setting.relation                                                       AS relation,
       stat.n_dead_tup                                                        AS dead_rows,
       round(setting.threshold + setting.scale_factor * greatest(setting.reltuples, 0)) AS vacuumed_from,
       round(100.0 * stat.n_dead_tup / nullif(stat.n_live_tup + stat.n_dead_tup, 0), 1) AS dead_percent,
       setting.enabled AND current_setting('autovacuum')::boolean             AS autovacuum_enabled,
       extract(epoch FROM now() - greatest(stat.last_vacuum, stat.last_autovacuum))::numeric(14, 1) AS vacuumed_seconds_ago
  FROM setting
  JOIN pg_stat_all_tables AS stat ON stat.relid = setting.oid
 WHERE stat.n_dead_tup > setting.threshold + setting.scale_factor * greatest(setting.reltuples, 0)
 ORDER BY dead_rows DESC, relation
 LIMIT 50;
