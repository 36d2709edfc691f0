-- question: Which statements write the most into temporary files?
-- reads: pg_stat_statements, pg_database, pg_roles
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 14 and later, with the extension pg_stat_statements
SELECT stat.queryid                                                           AS query_id,
       role.rolname                                                           AS user_name,
       stat.calls                                                             AS calls,
       round((stat.total_exec_time / 1000)::numeric, 1)                       AS seconds,
       round((stat.total_exec_time / nullif(stat.calls, 0))::numeric, 2)      AS ms_per_call,
       round(stat.rows::numeric / nullif(stat.calls, 0), 1)                   AS rows_per_call,
       stat.temp_blks_written                                                 AS temp_blocks,
       round(stat.temp_blks_written * 8.0 / 1024 / nullif(stat.calls, 0), 1)  AS temp_mib_per_call,
       left(regexp_replace(stat.query, '\s+', ' ', 'g'), 120)                 AS query
  FROM pg_stat_statements AS stat
  JOIN pg_database AS database ON database.oid = stat.dbid AND database.datname = current_database()
  LEFT JOIN pg_roles AS role ON role.oid = stat.userid
 WHERE stat.toplevel
   AND stat.temp_blks_written > 0
 ORDER BY stat.temp_blks_written DESC, query_id, user_name
 LIMIT 20;
