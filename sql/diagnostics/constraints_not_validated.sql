-- question: Which constraints hold for new rows only?
-- reads: pg_constraint
-- lock: none
-- role: pg_monitor
-- cost: instant
-- versions: 13 and later
SELECT constraint_.conrelid::regclass::text                                   AS relation,
       constraint_.conname                                                    AS constraint_name,
       pg_get_constraintdef(constraint_.oid)                                  AS definition,
       format('ALTER TABLE %s VALIDATE CONSTRAINT %I', constraint_.conrelid::regclass, constraint_.conname) AS mends_it
  FROM pg_constraint AS constraint_
 WHERE NOT constraint_.convalidated
   AND constraint_.conrelid <> 0
 ORDER BY relation, constraint_name;
