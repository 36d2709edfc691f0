-- The main database of the world "shop": one of each kind of thing that people keep in PostgreSQL, and names as people give them.
-- Run as the master user, who is no superuser, in one transaction. The content is the same at every run.

-- Roles: an owner without login, an application, a reporting group and a person in it; nobody here has a password.
CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE shop_app LOGIN CONNECTION LIMIT 40 IN ROLE shop_owner;
CREATE ROLE shop_reporting NOLOGIN;
CREATE ROLE "Müller-Øst" LOGIN IN ROLE shop_reporting VALID UNTIL '2099-01-01';
GRANT shop_owner TO CURRENT_USER;
ALTER ROLE shop_app SET statement_timeout = '30s';
ALTER ROLE shop_app SET search_path = sales, catalogue, public;
ALTER ROLE "Müller-Øst" IN DATABASE shop SET work_mem = '64MB';
ALTER DATABASE shop SET lock_timeout = '45s';
ALTER DATABASE shop SET timezone = 'Asia/Tokyo';
COMMENT ON DATABASE shop IS 'Orders, stock and people of a shop that does not exist';

CREATE SCHEMA catalogue;
CREATE SCHEMA sales;
CREATE SCHEMA "Mixed Case % Schema";
CREATE SCHEMA 在庫;
COMMENT ON SCHEMA sales IS 'Who bought what; 100% of it, "quotes" and it''s commas, too';
GRANT CREATE ON SCHEMA sales TO shop_owner;

-- Types.
CREATE TYPE catalogue.size AS ENUM ('S', 'M', 'L', 'it''s "huge"', '特大');
CREATE TYPE catalogue.money_amount AS (amount numeric(12, 2), currency char(3));
CREATE DOMAIN catalogue.sku AS text CHECK (VALUE ~ '^[A-Z]{2}-[0-9]{4}$');
CREATE DOMAIN catalogue.percent AS numeric(5, 2) DEFAULT 0 CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE catalogue.time_of_day AS RANGE (subtype = time);
CREATE COLLATION catalogue.plain (provider = libc, locale = 'C');
CREATE TEXT SEARCH CONFIGURATION catalogue.names (COPY = simple);

-- Sequences of all kinds.
CREATE SEQUENCE sales.invoice_number START 100000;
CREATE SEQUENCE sales.countdown INCREMENT -1 MAXVALUE 1000 MINVALUE -1000 START 1000;
CREATE SEQUENCE sales.ring AS smallint MAXVALUE 3 CYCLE CACHE 2;
CREATE SEQUENCE sales.never_asked;
CREATE SEQUENCE sales.exhausted MAXVALUE 2;
SELECT nextval('sales.invoice_number'), nextval('sales.countdown'), nextval('sales.ring'), nextval('sales.exhausted'), nextval('sales.exhausted');

CREATE TABLE catalogue.categories (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    parent integer REFERENCES catalogue.categories ON DELETE CASCADE
);
INSERT INTO catalogue.categories (name, parent) VALUES ('Clothes', NULL), ('Shoes', 1), ('帽子', 1), ('100% wool', 1), ('O''Neill "originals"', 2);

CREATE TABLE catalogue.products (
    sku catalogue.sku PRIMARY KEY,
    category integer NOT NULL REFERENCES catalogue.categories,
    name text COLLATE catalogue.plain NOT NULL,
    sizes catalogue.size[] NOT NULL DEFAULT '{M}',
    price catalogue.money_amount NOT NULL,
    discount catalogue.percent,
    net numeric GENERATED ALWAYS AS ((price).amount * (100 - discount) / 100) STORED,
    opening catalogue.time_of_day,
    attributes jsonb NOT NULL DEFAULT '{}',
    raw json,
    shelf point,
    area polygon,
    reach circle,
    words tsvector,
    picture bytea,
    bits bit varying(12),
    from_address inet,
    card macaddr,
    priced money,
    weight double precision,
    valid tstzrange,
    lead_time interval,
    padded char(8)
);
INSERT INTO catalogue.products (sku, category, name, sizes, price, discount, opening, attributes, raw, shelf, area, reach, words, picture, bits, from_address, card,
                                priced, weight, valid, lead_time, padded)
SELECT format('AB-%s', to_char(n, 'FM0000')), 1 + n % 5, format('Product %s%% "%s"', n, md5(n::text)), CASE n % 3 WHEN 0 THEN '{S,M}' WHEN 1 THEN '{特大}' ELSE '{}' END::catalogue.size[],
       ROW (n * 1.25, 'JPY')::catalogue.money_amount, n % 101, '[09:00,17:30)', jsonb_build_object('n', n, 'tags', ARRAY['a', 'b'], '鍵', '値', 'null', NULL),
       '{"b":1,  "a":2,"b":3}', point(n, -n), '((0,0),(1,0),(1,1))', '<(0,0),2.5>', to_tsvector('simple', 'a shop ' || n),
       decode(md5(n::text), 'hex'), B'1010', '192.168.0.1/24', '08:00:2b:01:02:03', n, CASE n % 50 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE n / 3.0 END,
       tstzrange('2025-01-01 00:00+09', NULL), '1 mon -3 days 04:05:06.789', 'x'
  FROM generate_series(1, 200) AS n;
CREATE INDEX ON catalogue.products USING gin (attributes jsonb_path_ops);
CREATE INDEX ON catalogue.products USING gist (shelf);
CREATE INDEX "products by %lower% name" ON catalogue.products (lower(name), net DESC NULLS LAST) INCLUDE (discount) WHERE discount > 0;
CREATE STATISTICS catalogue.products_category_discount ON category, discount FROM catalogue.products;

CREATE TABLE sales.customers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    born date,
    first_order bigint,
    gone text
);
ALTER TABLE sales.customers DROP COLUMN gone;  -- a hole in the numbering of the columns
INSERT INTO sales.customers (id, email, name, born)
SELECT md5(n::text)::uuid, format('user+%s@shop.example', n), CASE n % 4 WHEN 0 THEN '山田 太郎' WHEN 1 THEN 'D''Arcy; DROP TABLE t' WHEN 2 THEN E'tab\there\nand a line' ELSE 'back\slash 100%' END,
       CASE n % 100 WHEN 0 THEN 'infinity' WHEN 1 THEN '0044-03-15 BC' ELSE '1970-01-01'::date + n END
  FROM generate_series(1, 500) AS n;

-- Partitioned by range, with a primary key, a default partition, and partitions that are partitioned again.
CREATE TABLE sales.orders (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    ordered_at timestamptz NOT NULL,
    customer uuid NOT NULL REFERENCES sales.customers,
    invoice bigint NOT NULL DEFAULT nextval('sales.invoice_number'),
    status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'paid', 'sent')),
    total numeric(12, 2) NOT NULL CHECK (total >= 0),
    PRIMARY KEY (id, ordered_at)
) PARTITION BY RANGE (ordered_at);
CREATE TABLE sales.orders_2025_q1 PARTITION OF sales.orders FOR VALUES FROM ('2025-01-01 00:00+00') TO ('2025-04-01 00:00+00');
CREATE TABLE sales.orders_2025_q2 PARTITION OF sales.orders FOR VALUES FROM ('2025-04-01 00:00+00') TO ('2025-07-01 00:00+00') PARTITION BY RANGE (ordered_at);
CREATE TABLE sales.orders_2025_04 PARTITION OF sales.orders_2025_q2 FOR VALUES FROM ('2025-04-01 00:00+00') TO ('2025-05-01 00:00+00');
CREATE TABLE sales."orders_2025_05 & 06" PARTITION OF sales.orders_2025_q2 FOR VALUES FROM ('2025-05-01 00:00+00') TO ('2025-07-01 00:00+00');
CREATE TABLE "sales"."orders % later" PARTITION OF sales.orders DEFAULT;
INSERT INTO sales.orders (ordered_at, customer, status, total)
SELECT '2025-01-01 00:00+00'::timestamptz + n * interval '2 hours', md5((1 + n % 500)::text)::uuid, (ARRAY['new', 'paid', 'sent'])[1 + n % 3], n % 997
  FROM generate_series(0, 2999) AS n;
CREATE INDEX orders_customer ON sales.orders (customer);
CREATE INDEX orders_2025_q1_when ON sales.orders_2025_q1 USING brin (ordered_at);

-- Two tables that name each other, by keys that can wait for the end of a transaction.
CREATE TABLE sales.lines (
    order_id bigint NOT NULL,
    ordered_at timestamptz NOT NULL,
    line smallint NOT NULL,
    sku catalogue.sku NOT NULL REFERENCES catalogue.products ON UPDATE CASCADE,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, line),
    FOREIGN KEY (order_id, ordered_at) REFERENCES sales.orders (id, ordered_at) DEFERRABLE INITIALLY DEFERRED
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
INSERT INTO sales.lines SELECT id, ordered_at, 1, format('AB-%s', to_char(1 + id % 200, 'FM0000')), 1 + id % 7 FROM sales.orders;
CREATE TABLE sales.first_orders (customer uuid PRIMARY KEY REFERENCES sales.customers DEFERRABLE, order_id bigint, line smallint, FOREIGN KEY (order_id, line) REFERENCES sales.lines);
ALTER TABLE sales.customers ADD FOREIGN KEY (id) REFERENCES sales.first_orders DEFERRABLE INITIALLY DEFERRED NOT VALID;

-- Kinds of tables.
CREATE TABLE sales.bookings (room integer, during tstzrange, EXCLUDE USING gist (during WITH &&));
INSERT INTO sales.bookings VALUES (1, '[2025-01-01 09:00+09,2025-01-01 10:00+09)'), (2, 'empty');
CREATE UNLOGGED TABLE sales.carts (id bigserial PRIMARY KEY, content jsonb);
INSERT INTO sales.carts (content) SELECT jsonb_build_object('n', n) FROM generate_series(1, 20) AS n;
CREATE TABLE sales.by_hash (id integer NOT NULL, note text) PARTITION BY HASH (id);
CREATE TABLE sales.by_hash_0 PARTITION OF sales.by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE sales.by_hash_1 PARTITION OF sales.by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO sales.by_hash SELECT n, 'note ' || n FROM generate_series(1, 50) AS n;
CREATE TABLE sales.archive (LIKE sales.carts INCLUDING DEFAULTS) INHERITS (sales.carts);
CREATE TABLE catalogue.typed OF catalogue.money_amount (amount NOT NULL);
INSERT INTO catalogue.typed VALUES (1, 'JPY'), (1, 'JPY'), (2.5, NULL);
CREATE TABLE sales.log (happened timestamptz DEFAULT now(), message text);  -- no primary key, and a row twice
INSERT INTO sales.log VALUES ('2025-01-01 00:00+00', 'twice'), ('2025-01-01 00:00+00', 'twice'), ('infinity', NULL), ('-infinity', '');
ALTER TABLE sales.log REPLICA IDENTITY FULL;
CREATE TABLE sales.nothing_yet (id integer PRIMARY KEY, note text);  -- no rows
CREATE TABLE sales.no_columns ();
INSERT INTO sales.no_columns DEFAULT VALUES;

-- Names.
CREATE TABLE public.t (t text PRIMARY KEY);
INSERT INTO public.t VALUES ('t'), ('T'), ('%s'), ('''; --');
CREATE TABLE public."T" ("T" integer, t integer);
CREATE TABLE public."100% of ""all"" it's" ("%s" integer PRIMARY KEY, "{curly}" text, "semi;colon" text, "back\slash" text, "$1" text, "select" text);
INSERT INTO public."100% of ""all"" it's" VALUES (1, '%', ';', '\', '$1', 'select'), (2, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE public."order" ("user" text, "table" text, "group" integer);
CREATE TABLE "Mixed Case % Schema"."Camel Case" ("Id" integer PRIMARY KEY, "Parent" integer REFERENCES "Mixed Case % Schema"."Camel Case");
INSERT INTO "Mixed Case % Schema"."Camel Case" VALUES (1, NULL), (2, 1);
CREATE TABLE 在庫.商品 (番号 integer PRIMARY KEY, 名前 text NOT NULL, 数量 integer DEFAULT 0);
INSERT INTO 在庫.商品 SELECT n, '品 ' || n, n FROM generate_series(1, 30) AS n;
COMMENT ON TABLE 在庫.商品 IS '在庫の商品。100% 日本語';
COMMENT ON COLUMN 在庫.商品.数量 IS '棚にある数; "quoted" and it''s fine';
CREATE TABLE public.a_name_that_is_exactly_as_long_as_postgresql_allows_names_to_be (a_name_that_is_exactly_as_long_as_postgresql_allows_names_to_be integer);

-- Views, materialised views, rules.
CREATE VIEW sales.open_orders WITH (security_barrier) AS SELECT id, ordered_at, total FROM sales.orders WHERE status = 'new' WITH LOCAL CHECK OPTION;
CREATE VIEW sales."revenue % by month" AS SELECT date_trunc('month', ordered_at AT TIME ZONE 'UTC') AS month, sum(total) AS "sum %" FROM sales.orders GROUP BY 1;
CREATE MATERIALIZED VIEW sales.best_customers AS SELECT customer, count(*) AS orders, sum(total) AS total FROM sales.orders GROUP BY customer;
CREATE UNIQUE INDEX ON sales.best_customers (customer);
CREATE MATERIALIZED VIEW sales.not_filled AS SELECT id FROM sales.orders WITH NO DATA;
CREATE RULE no_deletes AS ON DELETE TO sales.log DO INSTEAD NOTHING;

-- Functions, a procedure, an aggregate, triggers.
CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    -- A comment; with a semicolon, and a 'quote.
    NEW.note := coalesce(NEW.note, '') || $$ touched; $$;
    RETURN NEW;
END $body$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF note ON sales.nothing_yet FOR EACH ROW WHEN (NEW.note IS NOT NULL) EXECUTE FUNCTION sales.touch();
CREATE TRIGGER "off % duty" BEFORE DELETE ON sales.nothing_yet FOR EACH ROW EXECUTE FUNCTION sales.touch();
ALTER TABLE sales.nothing_yet DISABLE TRIGGER "off % duty";
CREATE FUNCTION sales.total_of(customer uuid, OUT orders bigint, OUT total numeric) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sales, pg_temp
    AS 'SELECT count(*), sum(o.total) FROM sales.orders AS o WHERE o.customer = total_of.customer';
CREATE FUNCTION sales.total_of(customer text) RETURNS numeric LANGUAGE sql IMMUTABLE RETURN 0;
CREATE PROCEDURE sales.send(order_id bigint) LANGUAGE plpgsql AS 'BEGIN UPDATE sales.orders SET status = ''sent'' WHERE id = order_id; END';
CREATE AGGREGATE catalogue.product_of(numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1');

-- Row security, forced upon the owner as well: whoever does not say which tenant they are sees no row.
CREATE TABLE sales.tenants (tenant text NOT NULL, secret text, PRIMARY KEY (tenant, secret));
INSERT INTO sales.tenants SELECT 'tenant ' || n % 3, 'secret ' || n FROM generate_series(1, 60) AS n;
ALTER TABLE sales.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE sales.tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON sales.tenants USING (tenant = current_setting('shop.tenant', true));
CREATE TABLE sales.notes (id integer PRIMARY KEY, note text);
INSERT INTO sales.notes VALUES (1, 'visible to its owner');
ALTER TABLE sales.notes ENABLE ROW LEVEL SECURITY;  -- not forced, and no policy: only the owner sees it

-- Large objects, with an owner, a comment and a grant.
SELECT lo_from_bytea(700001, decode(repeat('00ff25', 2000), 'hex')), lo_from_bytea(700002, ''), lo_create(700003);
COMMENT ON LARGE OBJECT 700001 IS 'A scan, 100% of it';
GRANT SELECT ON LARGE OBJECT 700001 TO shop_reporting;

-- Who may what.
ALTER TABLE sales.bookings OWNER TO shop_owner;
GRANT USAGE ON SCHEMA sales, catalogue TO shop_app, shop_reporting;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA sales TO shop_app;
GRANT SELECT (id, name), UPDATE (name) ON sales.customers TO shop_reporting WITH GRANT OPTION;
GRANT SELECT ON catalogue.products TO PUBLIC;
REVOKE EXECUTE ON FUNCTION sales.total_of(uuid) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA sales GRANT SELECT ON TABLES TO shop_reporting;
