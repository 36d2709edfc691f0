-- question: Which indexes were never read since the statistics were reset, and what do they take?
-- reads: pg_stat_user_indexes, pg_index, pg_stat_database
-- lock: none
-- role: pg_monitor
-- cost: a file size for each index
-- versions: 13 and later
-- Counted on this instance only: a reader may use what its writer does not. A server that just started has counted little.
SELECT format('%I.%I', stat.schemaname, stat.indexrelname)                    AS index,
       format('%I.%I', stat.schemaname, stat.relname)                         AS relation,
       round(pg_relation_size(stat.indexrelid) / 1048576.0, 1)                AS mib,
       tables.n_tup_ins + tables.n_tup_upd                                    AS rows_written,
       extract(epoch FROM now() - coalesce(total.stats_reset, pg_postmaster_start_time()))::numeric(14, 1) AS counted_seconds
  FROM pg_stat_user_indexes AS stat
  JOIN pg_index AS entry ON entry.indexrelid = stat.indexrelid
  JOIN pg_stat_user_tables AS tables ON tables.relid = stat.relid
  JOIN pg_stat_database AS total ON total.datname = current_database()
 WHERE stat.idx_scan = 0
   AND NOT entry.indisunique
   AND NOT entry.indisexclusion
   AND entry.indisvalid
   AND pg_relation_size(stat.indexrelid) >= 1048576
 ORDER BY mib DESC, index
 LIMIT 50;
