-- question: Which session is at the root of each queue for a lock, and which sessions wait behind it?
-- reads: pg_stat_activity
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
-- A holder with pid 0 is a prepared transaction: see prepared_transactions. A session behind two roots stands below both.
-- Each session stands behind the nearest of those that it waits for: in a long queue everybody waits for everybody before him.
-- The command of `ends_it` rolls back what the root did and is for a person to decide.
WITH RECURSIVE edge AS MATERIALIZED (
  SELECT DISTINCT waiting.pid AS waiter, holder.pid AS holder
    FROM pg_stat_activity AS waiting
   CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS holder(pid)
   WHERE waiting.wait_event_type = 'Lock'
), level AS (
  SELECT DISTINCT edge.holder AS root, 0 AS depth, ARRAY[edge.holder] AS pids, ARRAY[edge.holder] AS seen
    FROM edge
   WHERE edge.holder NOT IN (SELECT waiter FROM edge)
  UNION ALL
  SELECT level.root, level.depth + 1, behind.pids, level.seen || behind.pids
    FROM level
   CROSS JOIN LATERAL (SELECT array_agg(DISTINCT edge.waiter) AS pids
                         FROM edge
                        WHERE edge.holder = ANY (level.pids)
                          AND edge.waiter <> ALL (level.seen)) AS behind
   WHERE behind.pids IS NOT NULL
), member AS MATERIALIZED (
  SELECT level.root, level.depth, one.pid
    FROM level
   CROSS JOIN LATERAL unnest(level.pids) AS one(pid)
), step AS MATERIALIZED (
  SELECT member.root, member.pid, member.depth, min(before.pid) AS parent
    FROM member
    JOIN edge ON edge.waiter = member.pid
    JOIN member AS before ON before.root = member.root AND before.pid = edge.holder AND before.depth = member.depth - 1
   GROUP BY member.root, member.pid, member.depth
), placed AS (
  SELECT member.root, member.pid, member.depth, ARRAY[member.pid] AS path
    FROM member
   WHERE member.depth = 0
   UNION ALL
  SELECT step.root, step.pid, step.depth, placed.path || step.pid
    FROM placed
    JOIN step ON step.root = placed.root AND step.parent = placed.pid
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
