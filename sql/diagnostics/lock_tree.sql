-- question: Which session is at the root of each queue for a lock, and which sessions wait behind it?
-- reads: pg_stat_activity
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
-- A holder with pid 0 is a prepared transaction: see prepared_transactions. A session behind two roots stands below both.
-- The command of `ends_it` rolls back what the root did and is for a person to decide.
WITH RECURSIVE edge AS (
  SELECT DISTINCT waiting.pid AS waiter, holder.pid AS holder
    FROM pg_stat_activity AS waiting
   CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS holder(pid)
), tree AS (
  SELECT edge.holder AS root, edge.holder AS pid, 0 AS depth, ARRAY[edge.holder] AS path
    FROM edge
   WHERE edge.holder NOT IN (SELECT waiter FROM edge)
  UNION
  SELECT tree.root, edge.waiter, tree.depth + 1, tree.path || edge.waiter
    FROM tree
    JOIN edge ON edge.holder = tree.pid
   WHERE edge.waiter <> ALL (tree.path)
     AND tree.depth < 20
), placed AS (
  SELECT DISTINCT ON (root, pid) root, pid, depth, path
    FROM tree
   ORDER BY root, pid, depth DESC, path
)
SELECT placed.root                                                            AS root_pid,
       placed.depth                                                           AS depth,
       placed.pid                                                             AS pid,
       count(*) OVER (PARTITION BY placed.root) - 1                           AS waiting_behind_root,
       session.usename                                                        AS user_name,
       session.application_name                                               AS application,
       session.state                                                          AS state,
       session.wait_event                                                     AS wait,
       extract(epoch FROM now() - session.xact_start)::numeric(14, 1)         AS transaction_seconds,
       extract(epoch FROM now() - session.state_change)::numeric(14, 1)       AS state_seconds,
       session.backend_xid IS NOT NULL                                        AS has_written,
       session.backend_type                                                   AS backend_type,
       session.backend_start                                                  AS connected_at,
       session.xact_start                                                     AS transaction_began_at,
       left(regexp_replace(session.query, '\s+', ' ', 'g'), 120)              AS query,
       CASE placed.depth WHEN 0 THEN format('SELECT pg_terminate_backend(%s)', placed.pid) END AS ends_it
  FROM placed
  LEFT JOIN pg_stat_activity AS session ON session.pid = placed.pid
 ORDER BY waiting_behind_root DESC, root_pid, placed.path, pid;
