-- question: Which large tables are read from end to end, and how often?
-- reads: pg_stat_user_tables, pg_stat_database
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
-- A few full scans are normal (reports, dumps); many with many rows each lack an index.
SELECT format('%I.%I', stat.schemaname, stat.relname)                         AS relation,
       stat.seq_scan                                                          AS scans,
       round(stat.seq_tup_read::numeric / nullif(stat.seq_scan, 0))           AS rows_per_scan,
       coalesce(stat.idx_scan, 0)                                             AS index_scans,
       round(pg_table_size(stat.relid) / 1048576.0, 1)                        AS mib,
       extract(epoch FROM now() - coalesce(total.stats_reset, pg_postmaster_start_time()))::numeric(14, 1) AS counted_seconds
  FROM pg_stat_user_tables AS stat
  JOIN pg_stat_database AS total ON total.datname = current_database()
 WHERE stat.seq_scan > 0
   AND stat.seq_tup_read / stat.seq_scan >= 10000
 ORDER BY stat.seq_tup_read DESC, relation
 LIMIT 20;
