-- question: Which sessions hold a lock on a table that stops its writers or its readers?
-- reads: pg_locks, pg_stat_activity, pg_class
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT lock.relation::regclass::text                                          AS relation,
       lock.mode                                                              AS mode,
       CASE lock.mode WHEN 'AccessExclusiveLock' THEN 'readers and writers' ELSE 'writers' END AS stops,
       session.pid                                                            AS pid,
       session.usename                                                        AS user_name,
       session.application_name                                               AS application,
       session.state                                                          AS state,
       extract(epoch FROM now() - session.xact_start)::numeric(14, 1)         AS transaction_seconds,
       left(regexp_replace(session.query, '\s+', ' ', 'g'), 120)              AS query
  FROM pg_locks AS lock
  JOIN pg_class AS class ON class.oid = lock.relation AND class.relkind IN ('r', 'p', 'm')
  JOIN pg_stat_activity AS session ON session.pid = lock.pid
 WHERE lock.granted
   AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND lock.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
   AND session.pid <> pg_backend_pid()
 ORDER BY transaction_seconds DESC NULLS LAST, relation, mode, pid;
