-- question: Which vacuums run, and how far are they?
-- reads: pg_stat_progress_vacuum, pg_stat_activity
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
-- More than one index pass means that maintenance_work_mem was too small for the dead rows.
SELECT progress.pid                                                           AS pid,
       progress.datname                                                       AS database,
       CASE WHEN progress.datname = current_database() THEN progress.relid::regclass::text ELSE progress.relid::text END AS relation,
       progress.phase                                                         AS phase,
       round(100.0 * progress.heap_blks_scanned / nullif(progress.heap_blks_total, 0), 1) AS scanned_percent,
       progress.index_vacuum_count                                            AS index_passes,
       session.query LIKE '%to prevent wraparound%'                           AS against_wraparound,
       extract(epoch FROM now() - session.xact_start)::numeric(14, 1)         AS running_seconds
  FROM pg_stat_progress_vacuum AS progress
  JOIN pg_stat_activity AS session ON session.pid = progress.pid
 ORDER BY running_seconds DESC, pid;
