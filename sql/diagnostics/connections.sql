-- question: Which applications hold the connections that this server can take, and in which state?
-- reads: pg_stat_activity, pg_settings
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
-- On Aurora rds.rds_superuser_reserved_connections takes a few more from the limit.
SELECT session.usename                                                        AS user_name,
       session.application_name                                               AS application,
       session.datname                                                        AS database,
       session.state                                                          AS state,
       count(*)                                                               AS connections,
       round(100.0 * count(*) / limits.usable, 1)                             AS percent_of_limit,
       limits.usable                                                          AS limit_for_users,
       extract(epoch FROM now() - min(session.backend_start))::numeric(14, 1) AS oldest_seconds,
       extract(epoch FROM now() - min(session.state_change))::numeric(14, 1)  AS longest_in_state_seconds
  FROM pg_stat_activity AS session
 CROSS JOIN (SELECT current_setting('max_connections')::integer
                    - sum(setting::integer) AS usable
               FROM pg_settings
              WHERE name IN ('superuser_reserved_connections', 'reserved_connections')) AS limits
 WHERE session.backend_type = 'client backend'
   AND session.pid <> pg_backend_pid()
 GROUP BY session.usename, session.application_name, session.datname, session.state, limits.usable
 ORDER BY connections DESC, user_name, application, database, state;
