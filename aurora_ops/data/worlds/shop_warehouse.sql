-- A second database of the world "shop": two schemas that hold tables of one name, and nothing in schema public.
CREATE SCHEMA east;
CREATE SCHEMA west;
CREATE TABLE east.stock (sku text PRIMARY KEY, quantity integer NOT NULL CHECK (quantity >= 0), counted_at timestamptz NOT NULL);
CREATE TABLE west.stock (LIKE east.stock INCLUDING ALL);
INSERT INTO east.stock SELECT 'AB-' || n, n, '2025-06-01 00:00+00' FROM generate_series(1, 400) AS n;
INSERT INTO west.stock SELECT 'AB-' || n, 2 * n, '2025-06-01 00:00+00' FROM generate_series(1, 100) AS n;
CREATE VIEW public.stock AS SELECT 'east' AS place, * FROM east.stock UNION ALL SELECT 'west', * FROM west.stock;
