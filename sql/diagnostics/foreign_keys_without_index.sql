-- question: Which foreign keys have no index that finds the rows which refer to a deleted one?
-- reads: pg_constraint, pg_index, pg_class
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT constraint_.conrelid::regclass::text                                   AS relation,
       constraint_.conname                                                    AS constraint_name,
       constraint_.confrelid::regclass::text                                  AS refers_to,
       greatest(class.reltuples, 0)::bigint                                   AS rows_estimated,
       format('CREATE INDEX CONCURRENTLY ON %s (%s)', constraint_.conrelid::regclass,
              (SELECT string_agg(quote_ident(attribute.attname), ', ' ORDER BY part.place)
                 FROM unnest(constraint_.conkey) WITH ORDINALITY AS part(number, place)
                 JOIN pg_attribute AS attribute ON attribute.attrelid = constraint_.conrelid AND attribute.attnum = part.number)) AS mends_it
  FROM pg_constraint AS constraint_
  JOIN pg_class AS class ON class.oid = constraint_.conrelid
 WHERE constraint_.contype = 'f'
   AND NOT EXISTS (
     SELECT FROM pg_index AS entry
      WHERE entry.indrelid = constraint_.conrelid AND entry.indisvalid AND entry.indpred IS NULL
        AND (entry.indkey::int2[])[0:cardinality(constraint_.conkey) - 1] @> constraint_.conkey
        AND (entry.indkey::int2[])[0:cardinality(constraint_.conkey) - 1] <@ constraint_.conkey)
 ORDER BY rows_estimated DESC, relation, constraint_name;
