-- question: Of which tables are the planner's statistics old or missing?
-- reads: pg_stat_all_tables, pg_class, pg_namespace
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
WITH setting AS (
  SELECT class.oid, format('%I.%I', space.nspname, class.relname) AS relation, class.reltuples,
         coalesce((SELECT option_value FROM pg_options_to_table(class.reloptions) WHERE option_name = 'autovacuum_enabled')::boolean, true) AS enabled,
         coalesce((SELECT option_value FROM pg_options_to_table(class.reloptions) WHERE option_name = 'autovacuum_analyze_threshold')::float,
                  current_setting('autovacuum_analyze_threshold')::float) AS threshold,
         coalesce((SELECT option_value FROM pg_options_to_table(class.reloptions) WHERE option_name = 'autovacuum_analyze_scale_factor')::float,
                  current_setting('autovacuum_analyze_scale_factor')::float) AS scale_factor
    FROM pg_class AS class
    JOIN pg_namespace AS space ON space.oid = class.relnamespace
   WHERE class.relkind IN ('r', 'm')
     AND class.relpersistence <> 't'
)
SELECT setting.relation                                                       AS relation,
       stat.n_mod_since_analyze                                               AS changed_rows_since,
       stat.n_live_tup                                                        AS rows,
       greatest(setting.reltuples, 0)::bigint                                 AS rows_the_planner_assumes,
       setting.enabled AND current_setting('autovacuum')::boolean             AS autovacuum_enabled,
       extract(epoch FROM now() - greatest(stat.last_analyze, stat.last_autoanalyze))::numeric(14, 1) AS analyzed_seconds_ago,
       format('ANALYZE %s', setting.relation)                                 AS mends_it
  FROM setting
  JOIN pg_stat_all_tables AS stat ON stat.relid = setting.oid
 WHERE stat.schemaname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
   AND stat.n_mod_since_analyze > setting.threshold + setting.scale_factor * greatest(setting.reltuples, 0)
 ORDER BY changed_rows_since DESC, relation
 LIMIT 50;
