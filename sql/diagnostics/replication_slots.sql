-- question: Which replication slots keep WAL, and does a consumer read them?
-- reads: pg_replication_slots
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT slot.slot_name                                                         AS slot,
       slot.slot_type                                                         AS type,
       slot.plugin                                                            AS plugin,
       slot.database                                                          AS database,
       slot.active                                                            AS has_consumer,
       slot.wal_status                                                        AS wal_status,
       round((CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), slot.restart_lsn) END) / 1048576, 1) AS kept_mib
  FROM pg_replication_slots AS slot
 ORDER BY kept_mib DESC NULLS LAST, slot;
