-- question: Which sessions keep a transaction open and do nothing?
-- reads: pg_stat_activity, pg_locks
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT session.pid                                                            AS pid,
       session.usename                                                        AS user_name,
       session.application_name                                               AS application,
       session.client_addr                                                    AS client,
       session.state                                                          AS state,
       extract(epoch FROM now() - session.state_change)::numeric(14, 1)       AS idle_seconds,
       extract(epoch FROM now() - session.xact_start)::numeric(14, 1)         AS transaction_seconds,
       (SELECT count(*) FROM pg_locks AS lock WHERE lock.pid = session.pid AND lock.locktype = 'relation') AS relation_locks,
       session.backend_xid IS NOT NULL                                        AS has_written,
       left(regexp_replace(session.query, '\s+', ' ', 'g'), 120)              AS last_query
  FROM pg_stat_activity AS session
 WHERE session.state LIKE 'idle in transaction%'
 ORDER BY session.xact_start, session.pid;
