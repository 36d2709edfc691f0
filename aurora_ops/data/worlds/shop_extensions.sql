-- What of the world "shop" needs PostgreSQL's own extensions and its XML, which a PostgreSQL that was built small lacks.
CREATE SCHEMA extra;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION hstore SCHEMA extra;
CREATE EXTENSION "uuid-ossp";
CREATE EXTENSION pg_stat_statements;
CREATE EXTENSION postgres_fdw;

CREATE TABLE extra.accounts (
    login citext PRIMARY KEY,
    token uuid NOT NULL DEFAULT uuid_generate_v5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'shop.example'),
    hash bytea NOT NULL,
    settings extra.hstore,
    leaflet xml
);
INSERT INTO extra.accounts (login, hash, settings, leaflet)
SELECT 'User' || n, digest(n::text, 'sha256'), extra.hstore('n', n::text), xmlparse(CONTENT format('<p n="%s">&amp; 文</p>', n)) FROM generate_series(1, 40) AS n;
CREATE INDEX ON catalogue.products USING gin (name gin_trgm_ops);
ALTER TABLE sales.bookings ADD EXCLUDE USING gist (room WITH =, during WITH &&);

-- Another database, read as a table; nobody has a password for it here.
CREATE SERVER "ware % house" FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'warehouse.example', port '5433', dbname 'warehouse');
CREATE FOREIGN TABLE extra.remote_stock (sku text, quantity integer) SERVER "ware % house" OPTIONS (schema_name 'east', table_name 'stock');
GRANT USAGE ON FOREIGN SERVER "ware % house" TO shop_reporting;
