-- question: How many transactions were rolled back, deadlocked or cut off in each database?
-- reads: pg_stat_database
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 14 and later
SELECT total.datname                                                          AS database,
       total.xact_commit                                                      AS commits,
       total.xact_rollback                                                    AS rollbacks,
       round(100.0 * total.xact_rollback / nullif(total.xact_commit + total.xact_rollback, 0), 1) AS rollback_percent,
       total.deadlocks                                                        AS deadlocks,
       total.conflicts                                                        AS recovery_conflicts,
       total.sessions_abandoned                                               AS clients_lost,
       total.sessions_fatal                                                   AS sessions_ended_by_error,
       total.sessions_killed                                                  AS sessions_terminated,
       total.checksum_failures                                                AS checksum_failures,
       extract(epoch FROM now() - coalesce(total.stats_reset, pg_postmaster_start_time()))::numeric(14, 1) AS counted_seconds
  FROM pg_stat_database AS total
 WHERE total.datname IS NOT NULL
   AND total.datname NOT IN ('template0', 'template1', 'rdsadmin')
 ORDER BY total.deadlocks DESC, total.xact_rollback DESC, database;
