-- question: What keeps VACUUM from removing dead rows, and for how many transactions?
-- reads: pg_stat_activity, pg_prepared_xacts, pg_replication_slots, pg_stat_replication
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT held.kind                                                              AS held_by,
       held.name                                                              AS name,
       held.transactions                                                      AS behind_transactions,
       extract(epoch FROM now() - held.since)::numeric(14, 1)                 AS held_seconds,
       held.detail                                                            AS detail
  FROM (SELECT 'session', format('pid %s, %s, %s', session.pid, session.usename, session.application_name),
               greatest(age(session.backend_xmin), age(session.backend_xid)), session.xact_start,
               concat_ws(': ', session.state, left(regexp_replace(session.query, '\s+', ' ', 'g'), 100))
          FROM pg_stat_activity AS session
         WHERE (session.backend_xmin IS NOT NULL OR session.backend_xid IS NOT NULL)
           AND session.pid <> pg_backend_pid()
         UNION ALL
        SELECT 'prepared transaction', prepared.gid, age(prepared.transaction), prepared.prepared, 'ROLLBACK PREPARED or COMMIT PREPARED ends it'
          FROM pg_prepared_xacts AS prepared
         UNION ALL
        SELECT 'replication slot', slot.slot_name, greatest(age(slot.xmin), age(slot.catalog_xmin)), NULL,
               CASE WHEN slot.active THEN 'a consumer is connected' ELSE 'no consumer is connected' END
          FROM pg_replication_slots AS slot
         WHERE slot.xmin IS NOT NULL OR slot.catalog_xmin IS NOT NULL
         UNION ALL
        SELECT 'standby', standby.application_name, age(standby.backend_xmin), standby.backend_start, 'hot_standby_feedback'
          FROM pg_stat_replication AS standby
         WHERE standby.backend_xmin IS NOT NULL) AS held(kind, name, transactions, since, detail)
 ORDER BY behind_transactions DESC NULLS LAST, held_seconds DESC NULLS LAST, held_by, name;
