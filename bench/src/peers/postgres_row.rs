//! The peer whose store is PostgreSQL with a row for each product: `UPDATE … WHERE available >= q`.
//!
//! One function is one round trip and one transaction: the order with its key, then the row that all
//! buyers of a product want, last, so that it is locked for no longer than its commit takes.
//! Promises: what is answered is committed and synced (`synchronous_commit=on`).

use super::postgres::Statements;

/// Its tables and how they are asked.
pub(super) const STATEMENTS: Statements =
    Statements { schema: SCHEMA, put_in: PUT_IN, units: UNITS };

const SCHEMA: &str = "
CREATE TABLE stock (
    product_id text PRIMARY KEY, available bigint NOT NULL CHECK (available >= 0), stock bigint NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY (CACHE 100) PRIMARY KEY, key text NOT NULL UNIQUE,
    product_id text NOT NULL, buyer_id text NOT NULL, quantity bigint NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION buy(k text, p text, b text, q bigint, OUT outcome int, OUT number bigint)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT available INTO number FROM stock WHERE product_id = p;
    IF number >= q THEN
        INSERT INTO orders (key, product_id, buyer_id, quantity) VALUES (k, p, b, q)
            ON CONFLICT (key) DO NOTHING RETURNING id INTO number;
        IF FOUND THEN
            UPDATE stock SET available = available - q WHERE product_id = p AND available >= q;
            IF FOUND THEN outcome := 1; RETURN; END IF;
            DELETE FROM orders WHERE id = number;
            outcome := 0; number := 0; RETURN;
        END IF;
    END IF;
    SELECT id INTO number FROM orders WHERE key = k;
    IF FOUND THEN outcome := 2; RETURN; END IF;
    SELECT available INTO number FROM stock WHERE product_id = p;
    outcome := 0;
END $$;
";
const PUT_IN: &str = "INSERT INTO stock (product_id, available, stock) VALUES ($1, $2, $2)";
const UNITS: &str = "SELECT available, stock - available FROM stock WHERE product_id = $1";
