-- question: Which statements read the most blocks from storage?
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
       stat.shared_blks_read                                                  AS blocks_read,
       round(stat.shared_blks_read::numeric / nullif(stat.calls, 0), 1)       AS blocks_read_per_call,
       round(100.0 * stat.shared_blks_hit / nullif(stat.shared_blks_hit + stat.shared_blks_read, 0), 1) AS hit_percent,
       left(regexp_replace(stat.query, '\s+', ' ', 'g'), 120)                 AS query
  FROM pg_stat_statements AS stat
  JOIN pg_database AS database ON database.oid = stat.dbid AND database.datname = current_database()
  LEFT JOIN pg_roles AS role ON role.oid = stat.userid
 WHERE stat.toplevel
   AND stat.shared_blks_read > 0
 ORDER BY stat.shared_blks_read DESC, query_id, user_name
 LIMIT 20;
