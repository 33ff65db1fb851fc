//! The peer whose store is PostgreSQL with a row for each unit: `SELECT … FOR UPDATE SKIP LOCKED`.
//!
//! Buyers take different rows, so they do not wait for each other and commit together. One function is one
//! round trip and one transaction. Sold units leave the partial index that finds the next ones; each buyer
//! begins at a unit of its own, or all would pass over the same ones that were just sold.
//! Promises: what is answered is committed and synced. Its price: a row for each unit, written before the sale.

use super::postgres::Statements;

/// Its tables and how they are asked.
pub(super) const STATEMENTS: Statements =
    Statements { schema: SCHEMA, put_in: PUT_IN, units: UNITS };

const SCHEMA: &str = "
CREATE TABLE units (product_id text NOT NULL, unit bigint NOT NULL, order_id bigint)
    WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX units_left ON units (product_id, unit) WHERE order_id IS NULL;
CREATE TABLE products (product_id text PRIMARY KEY, stock bigint NOT NULL);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY (CACHE 100) PRIMARY KEY, key text NOT NULL UNIQUE,
    product_id text NOT NULL, buyer_id text NOT NULL, quantity bigint NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION buy(k text, p text, b text, q bigint, OUT outcome int, OUT number bigint)
LANGUAGE plpgsql AS $$
DECLARE taken tid[]; begins bigint;
BEGIN
    SELECT id INTO number FROM orders WHERE key = k;
    IF FOUND THEN outcome := 2; RETURN; END IF;
    SELECT 1 + floor(random() * stock) INTO begins FROM products WHERE product_id = p;
    taken := ARRAY(SELECT ctid FROM units WHERE product_id = p AND order_id IS NULL AND unit >= begins
        ORDER BY unit LIMIT q FOR UPDATE SKIP LOCKED);
    IF cardinality(taken) < q THEN
        taken := taken || ARRAY(SELECT ctid FROM units
            WHERE product_id = p AND order_id IS NULL AND unit < begins
            ORDER BY unit LIMIT q - cardinality(taken) FOR UPDATE SKIP LOCKED);
    END IF;
    IF cardinality(taken) < q THEN outcome := 0; number := cardinality(taken); RETURN; END IF;
    INSERT INTO orders (key, product_id, buyer_id, quantity) VALUES (k, p, b, q)
        ON CONFLICT (key) DO NOTHING RETURNING id INTO number;
    IF NOT FOUND THEN
        SELECT id INTO number FROM orders WHERE key = k;
        outcome := 2; RETURN;
    END IF;
    UPDATE units SET order_id = number WHERE ctid = ANY (taken);
    outcome := 1;
END $$;
";
const PUT_IN: &str = "WITH product AS (INSERT INTO products VALUES ($1, $2) RETURNING stock) \
     INSERT INTO units (product_id, unit) \
     SELECT $1, unit FROM product, generate_series(1, stock) AS unit";
const UNITS: &str = "SELECT count(*) FILTER (WHERE order_id IS NULL), count(order_id) FROM units \
     WHERE product_id = $1";
