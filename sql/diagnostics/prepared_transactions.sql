-- question: Which prepared transactions wait to be ended?
-- reads: pg_prepared_xacts
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT prepared.gid                                                           AS name,
       prepared.owner                                                         AS owner,
       prepared.database                                                      AS database,
       extract(epoch FROM now() - prepared.prepared)::numeric(14, 1)          AS prepared_seconds,
       age(prepared.transaction)                                              AS behind_transactions
  FROM pg_prepared_xacts AS prepared
 ORDER BY prepared.prepared, prepared.gid;
