-- question: Which sessions wait on a lock, and which session holds it?
-- reads: pg_stat_activity
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT waiting.pid                                                       AS waiting_pid,
       waiting.application_name                                          AS waiting_application,
       waiting.wait_event                                                AS wait,
       extract(epoch FROM now() - waiting.state_change)::numeric(12, 1)  AS waited_seconds,
       blocking.pid                                                      AS blocking_pid,
       blocking.application_name                                         AS blocking_application,
       blocking.state                                                    AS blocking_state,
       left(regexp_replace(waiting.query, '\s+', ' ', 'g'), 80)          AS waiting_query,
       left(regexp_replace(blocking.query, '\s+', ' ', 'g'), 80)         AS blocking_query
  FROM pg_stat_activity AS waiting
 CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS holder(pid)
  LEFT JOIN pg_stat_activity AS blocking ON blocking.pid = holder.pid
 ORDER BY waited_seconds DESC, waiting_pid, blocking_pid;
