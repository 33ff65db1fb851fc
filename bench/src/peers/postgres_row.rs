//! The peer whose store is PostgreSQL with a row for each product: `UPDATE … WHERE available >= q`.
//!
//! One function is one round trip and one transaction: the order with its key, then the row that all
//! buyers of a product want, last, so that it is locked for no longer than its commit takes.
//! Promises: what is answered is committed and synced (`synchronous_commit=on`).

use anyhow::{Context, bail};

use super::front::{Ask, Decide, Decision, Units};
use super::pool::Pool;

/// Tables and the function, made once.
pub(super) const SCHEMA: &str = "
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
const BUY: &str = "SELECT outcome, number FROM buy($1, $2, $3, $4)";
const PUT_IN: &str = "INSERT INTO stock (product_id, available, stock) VALUES ($1, $2, $2)";
const UNITS: &str = "SELECT available, stock FROM stock WHERE product_id = $1";

/// A worker's connections.
#[derive(Debug)]
pub(super) struct PostgresRow {
    pool: Pool,
}

impl PostgresRow {
    /// Connects `connections` times.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub(super) async fn connect(url: String, connections: usize) -> anyhow::Result<Self> {
        Ok(Self { pool: Pool::connect(&url, connections, &[BUY, PUT_IN, UNITS]).await? })
    }
}

impl Decide for PostgresRow {
    async fn decide(&self, ask: Ask<'_>) -> anyhow::Result<Decision> {
        decide(&self.pool, 0, ask).await
    }

    async fn put_in(&self, product_id: &str, stock: u64) -> anyhow::Result<()> {
        self.pool.row(1, &[&product_id, &i64::try_from(stock)?]).await?;
        Ok(())
    }

    async fn units(&self, product_id: &str) -> anyhow::Result<Option<Units>> {
        let Some(row) = self.pool.row(2, &[&product_id]).await? else { return Ok(None) };
        let (available, stock) = (row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?);
        let sold = u64::try_from(stock - available)?;
        Ok(Some(Units { available: available.try_into()?, sold }))
    }
}

/// Calls a statement that answers with an outcome and a number.
pub(super) async fn decide(
    pool: &Pool,
    statement: usize,
    ask: Ask<'_>,
) -> anyhow::Result<Decision> {
    let quantity = i64::from(ask.quantity);
    let row = pool.row(statement, &[&ask.key, &ask.product_id, &ask.buyer_id, &quantity]).await?;
    let row = row.context("a function answers")?;
    // A product that is unknown has nothing left.
    let number = u64::try_from(row.try_get::<_, Option<i64>>(1)?.unwrap_or(0))?;
    match row.try_get::<_, i32>(0)? {
        0 => Ok(Decision::SoldOut(number)),
        1 => Ok(Decision::Sold(number)),
        2 => Ok(Decision::Replayed(number)),
        other => bail!("the function answered {other}"),
    }
}
