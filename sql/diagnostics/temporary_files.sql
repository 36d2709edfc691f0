-- question: How much do statements of each database spill into temporary files?
-- reads: pg_stat_database
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT total.datname                                                          AS database,
       total.temp_files                                                       AS files,
       round(total.temp_bytes / 1048576.0, 1)                                 AS mib,
       round(total.temp_bytes / 1048576.0 / nullif(total.temp_files, 0), 1)   AS mib_per_file,
       current_setting('work_mem')                                            AS work_mem,
       extract(epoch FROM now() - coalesce(total.stats_reset, pg_postmaster_start_time()))::numeric(14, 1) AS counted_seconds
  FROM pg_stat_database AS total
 WHERE total.temp_files > 0
 ORDER BY total.temp_bytes DESC, database;
