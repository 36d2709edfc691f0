-- question: Which tables are read from storage rather than from memory?
-- reads: pg_statio_user_tables
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
-- On Aurora what shared_buffers lacks is read from the storage service, and with the Standard storage type each such read is billed.
SELECT format('%I.%I', io.schemaname, io.relname)                             AS relation,
       io.heap_blks_read + coalesce(io.idx_blks_read, 0)                      AS blocks_read,
       round(100.0 * (io.heap_blks_hit + coalesce(io.idx_blks_hit, 0))
             / nullif(io.heap_blks_hit + io.heap_blks_read + coalesce(io.idx_blks_hit + io.idx_blks_read, 0), 0), 1) AS hit_percent,
       round(pg_total_relation_size(io.relid) / 1048576.0, 1)                 AS mib,
       current_setting('shared_buffers')                                      AS shared_buffers
  FROM pg_statio_user_tables AS io
 WHERE io.heap_blks_read + coalesce(io.idx_blks_read, 0) > 0
 ORDER BY blocks_read DESC, relation
 LIMIT 20;
