-- question: Who is connected, what is each session doing, and for how long?
-- reads: pg_stat_activity
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT session.pid                                                       AS pid,
       session.usename                                                   AS user_name,
       session.application_name                                          AS application,
       session.state                                                     AS state,
       session.wait_event_type                                           AS wait_type,
       session.wait_event                                                AS wait,
       extract(epoch FROM now() - session.xact_start)::numeric(12, 1)    AS transaction_seconds,
       extract(epoch FROM now() - session.state_change)::numeric(12, 1)  AS state_seconds,
       left(regexp_replace(session.query, '\s+', ' ', 'g'), 80)          AS query
  FROM pg_stat_activity AS session
 WHERE session.backend_type = 'client backend'
   AND session.pid <> pg_backend_pid()
 ORDER BY session.xact_start NULLS LAST, session.pid;
