-- The world "many-tables": two hundred tables in four schemas, each with a key, an index, a reference to the one before and a few rows.
DO $make$
DECLARE
    area text;
    n integer;
BEGIN
    FOR area IN SELECT unnest(ARRAY['billing', 'crm', 'logistics', 'staff']) LOOP
        EXECUTE format('CREATE SCHEMA %I', area);
        FOR n IN 1..50 LOOP
            EXECUTE format(
                'CREATE TABLE %1$I.%2$I (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text NOT NULL UNIQUE, amount numeric(12, 2), noted_at timestamptz NOT NULL, before bigint %3$s)',
                area, 'entity_' || to_char(n, 'FM00'), CASE WHEN n > 1 THEN format('REFERENCES %I.%I', area, 'entity_' || to_char(n - 1, 'FM00')) END);
            EXECUTE format('CREATE INDEX ON %I.%I (noted_at)', area, 'entity_' || to_char(n, 'FM00'));
            EXECUTE format(
                'INSERT INTO %I.%I (code, amount, noted_at, before) SELECT ''code '' || g, g * %s, ''2025-01-01 00:00+00''::timestamptz + g * interval ''1 hour'', %s FROM generate_series(1, 40) AS g',
                area, 'entity_' || to_char(n, 'FM00'), n, CASE WHEN n > 1 THEN 'g' ELSE 'NULL' END);
        END LOOP;
    END LOOP;
END
$make$;
