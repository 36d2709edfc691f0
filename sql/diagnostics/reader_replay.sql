-- question: How far is this reader behind, and which of its sessions have the oldest snapshots, for which replay waits?
-- reads: pg_stat_activity
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
-- No rows on a writer.
SELECT session.pid                                                            AS pid,
       session.usename                                                        AS user_name,
       session.application_name                                               AS application,
       session.state                                                          AS state,
       extract(epoch FROM now() - session.xact_start)::numeric(14, 1)         AS transaction_seconds,
       replay.wait                                                            AS replay_waits_for,
       pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn()                   AS bytes_behind,
       session.query                                                          AS query
  FROM pg_stat_activity AS session
 CROSS JOIN (SELECT max(startup.wait_event_type || ':' || startup.wait_event) AS wait
               FROM pg_stat_activity AS startup
              WHERE startup.backend_type = 'startup') AS replay
 WHERE pg_is_in_recovery()
   AND session.backend_type = 'client backend'
   AND session.pid <> pg_backend_pid()
   AND session.xact_start IS NOT NULL
 ORDER BY session.xact_start, session.pid;
