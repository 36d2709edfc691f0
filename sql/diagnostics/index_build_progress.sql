-- question: Which indexes are being built, how far are they, and for whom do they wait?
-- reads: pg_stat_progress_create_index
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT progress.pid                                                           AS pid,
       progress.command                                                       AS command,
       progress.relid::regclass::text                                         AS relation,
       progress.index_relid::regclass::text                                   AS index,
       progress.phase                                                         AS phase,
       round(100.0 * progress.blocks_done / nullif(progress.blocks_total, 0), 1) AS blocks_percent,
       nullif(progress.current_locker_pid, 0)                                 AS waits_for_pid
  FROM pg_stat_progress_create_index AS progress
 WHERE progress.datname = current_database()
 ORDER BY pid;
