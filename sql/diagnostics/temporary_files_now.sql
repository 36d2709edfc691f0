-- question: Which sessions keep temporary files at this moment, and how much?
-- reads: pg_ls_tmpdir, pg_stat_activity
-- lock: none
-- role: pg_monitor
-- cost: a listing of one directory
-- versions: 13 and later
-- Files that parallel workers share lie in folders, which are not listed.
SELECT spilling.pid                                                           AS pid,
       session.usename                                                        AS user_name,
       session.application_name                                               AS application,
       session.state                                                          AS state,
       round(spilling.bytes / 1048576.0, 1)                                   AS mib,
       spilling.files                                                         AS files,
       extract(epoch FROM now() - session.query_start)::numeric(14, 1)        AS statement_seconds,
       session.query                                                          AS query
  FROM (SELECT substring(file.name FROM '^pgsql_tmp(\d+)')::integer AS pid, sum(file.size) AS bytes, count(*) AS files
          FROM pg_ls_tmpdir() AS file
         GROUP BY 1) AS spilling
  LEFT JOIN pg_stat_activity AS session ON session.pid = spilling.pid
 ORDER BY spilling.bytes DESC, spilling.pid;
