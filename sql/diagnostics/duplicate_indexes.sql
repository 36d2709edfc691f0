-- question: Which indexes begin with all that another index of the same table has?
-- reads: pg_index, pg_class
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT shorter.indexrelid::regclass::text                                     AS index,
       longer.indexrelid::regclass::text                                      AS covered_by,
       shorter.indrelid::regclass::text                                       AS relation,
       round(pg_relation_size(shorter.indexrelid) / 1048576.0, 1)             AS mib
  FROM pg_index AS shorter
  JOIN pg_class AS shorter_class ON shorter_class.oid = shorter.indexrelid
  JOIN pg_index AS longer ON longer.indrelid = shorter.indrelid AND longer.indexrelid <> shorter.indexrelid
  JOIN pg_class AS longer_class ON longer_class.oid = longer.indexrelid AND longer_class.relam = shorter_class.relam
  JOIN pg_namespace AS space ON space.oid = shorter_class.relnamespace
 WHERE space.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
   AND NOT shorter.indisunique
   AND NOT shorter.indisexclusion
   AND shorter.indisvalid AND longer.indisvalid
   AND shorter.indnkeyatts = shorter.indnatts
   AND shorter_class.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
   AND shorter.indexprs IS NULL AND longer.indexprs IS NULL
   AND shorter.indpred IS NOT DISTINCT FROM longer.indpred
   AND longer.indnkeyatts >= shorter.indnkeyatts
   AND (longer.indkey::int2[])[0:shorter.indnkeyatts - 1] = (shorter.indkey::int2[])[0:shorter.indnkeyatts - 1]
   AND (longer.indclass::oid[])[0:shorter.indnkeyatts - 1] = (shorter.indclass::oid[])[0:shorter.indnkeyatts - 1]
   AND (longer.indcollation::oid[])[0:shorter.indnkeyatts - 1] = (shorter.indcollation::oid[])[0:shorter.indnkeyatts - 1]
   AND (longer.indoption::int2[])[0:shorter.indnkeyatts - 1] = (shorter.indoption::int2[])[0:shorter.indnkeyatts - 1]
   AND (longer.indisunique OR longer.indnkeyatts > shorter.indnkeyatts OR longer.indexrelid < shorter.indexrelid)
 ORDER BY mib DESC, index, covered_by;
