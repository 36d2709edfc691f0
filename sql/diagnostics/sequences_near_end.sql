-- question: Which sequences have given most of the values that they, or the column they feed, can hold?
-- reads: pg_sequence, pg_class, pg_depend, pg_attribute
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
WITH sequence AS (
  SELECT class.oid, format('%I.%I', space.nspname, class.relname) AS name, seq.seqmax, seq.seqincrement, seq.seqcycle,
         has_sequence_privilege(class.oid, 'SELECT') OR has_sequence_privilege(class.oid, 'USAGE') AS readable,
         known.last_value,
         fed.column_name,
         least(seq.seqmax, CASE fed.type WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 END) AS last_possible
    FROM pg_sequence AS seq
    JOIN pg_class AS class ON class.oid = seq.seqrelid AND class.relpersistence <> 't'
    JOIN pg_namespace AS space ON space.oid = class.relnamespace
    JOIN pg_sequences AS known ON known.schemaname = space.nspname AND known.sequencename = class.relname
    LEFT JOIN LATERAL (
      SELECT format('%s.%I', depend.refobjid::regclass, attribute.attname) AS column_name, attribute.atttypid AS type
        FROM pg_depend AS depend
        JOIN pg_attribute AS attribute ON attribute.attrelid = depend.refobjid AND attribute.attnum = depend.refobjsubid
       WHERE depend.classid = 'pg_class'::regclass AND depend.objid = class.oid AND depend.deptype IN ('a', 'i') AND depend.refobjsubid > 0
       LIMIT 1) AS fed ON true
)
SELECT sequence.name                                                          AS sequence,
       sequence.column_name                                                   AS feeds,
       sequence.last_value                                                    AS last_value,
       sequence.last_possible                                                 AS last_possible,
       round(100.0 * sequence.last_value / sequence.last_possible, 1)         AS used_percent,
       CASE WHEN NOT sequence.readable THEN 'the login may not read it: GRANT SELECT on it, or pg_read_all_data' END AS not_looked_at
  FROM sequence
 WHERE NOT sequence.readable
    OR sequence.seqincrement > 0 AND NOT sequence.seqcycle AND sequence.last_value > 0.7 * sequence.last_possible
 ORDER BY used_percent DESC NULLS LAST, sequence;
