-- question: How near is each database to the end of its transaction ids?
-- reads: pg_database
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
-- PostgreSQL refuses writes three million ids before the limit of 2^31; forced vacuums start far earlier.
SELECT database.datname                                                       AS database,
       age(database.datfrozenxid)                                             AS transaction_age,
       mxid_age(database.datminmxid)                                          AS multixact_age,
       round(100.0 * greatest(age(database.datfrozenxid), mxid_age(database.datminmxid)) / 2147483647, 1) AS percent_of_limit,
       current_setting('autovacuum_freeze_max_age')::bigint                   AS forced_vacuum_from_age
  FROM pg_database AS database
 ORDER BY percent_of_limit DESC, transaction_age DESC, database;
