//! The peer whose store is PostgreSQL with a row for each unit: `SELECT … FOR UPDATE SKIP LOCKED`.
//!
//! Buyers take different rows, so they do not wait for each other and commit together. One function is one
//! round trip and one transaction. Sold units leave the partial index that finds the next ones; each buyer
//! begins at a unit of its own, or all would pass over the same ones that were just sold.
//! Promises: what is answered is committed and synced. Its price: a row for each unit, written before the sale.

use super::front::{Ask, Decide, Decision, Units};
use super::pool::Pool;
use super::postgres_row::decide;

/// Tables and the function, made once.
pub(super) const SCHEMA: &str = "
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
const BUY: &str = "SELECT outcome, number FROM buy($1, $2, $3, $4)";
const PUT_IN: &str = "WITH product AS (INSERT INTO products VALUES ($1, $2) RETURNING stock) \
     INSERT INTO units (product_id, unit) \
     SELECT $1, unit FROM product, generate_series(1, stock) AS unit";
const UNITS: &str = "SELECT count(*) FILTER (WHERE order_id IS NULL), count(order_id) FROM units \
     WHERE product_id = $1";

/// A worker's connections.
#[derive(Debug)]
pub(super) struct PostgresUnits {
    pool: Pool,
}

impl PostgresUnits {
    /// Connects `connections` times.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub(super) async fn connect(url: String, connections: usize) -> anyhow::Result<Self> {
        Ok(Self { pool: Pool::connect(&url, connections, &[BUY, PUT_IN, UNITS]).await? })
    }
}

impl Decide for PostgresUnits {
    async fn decide(&self, ask: Ask<'_>) -> anyhow::Result<Decision> {
        decide(&self.pool, 0, ask).await
    }

    async fn put_in(&self, product_id: &str, stock: u64) -> anyhow::Result<()> {
        self.pool.row(1, &[&product_id, &i64::try_from(stock)?]).await?;
        Ok(())
    }

    async fn units(&self, product_id: &str) -> anyhow::Result<Option<Units>> {
        let Some(row) = self.pool.row(2, &[&product_id]).await? else { return Ok(None) };
        let available = u64::try_from(row.try_get::<_, i64>(0)?)?;
        let sold = u64::try_from(row.try_get::<_, i64>(1)?)?;
        Ok(Some(Units { available, sold }))
    }
}
