//! A peer whose store is PostgreSQL: one function is one round trip and one transaction.
//!
//! What its tables and its function are, `postgres_row` and `postgres_units` say; how they are asked is the
//! same. Promises: what is answered is committed and synced (`synchronous_commit=on`).

use anyhow::{Context, bail};

use super::front::{Ask, Decide, Decision, Units};
use super::pool::Pool;

/// Tables with their function, and how they are asked.
pub(super) struct Statements {
    /// Tables and the function `buy(key, product, buyer, quantity)`, made once. It answers with an
    /// outcome (0 sold out, 1 sold, 2 the key's order again) and a number: what is left, or the order.
    pub(super) schema: &'static str,
    /// Puts a product in: its id, its units.
    pub(super) put_in: &'static str,
    /// Units of a product that are available, and that are sold.
    pub(super) units: &'static str,
}

const BUY: &str = "SELECT outcome, number FROM buy($1, $2, $3, $4)";

/// A worker's connections; their statements are `BUY`, to put in, and for units.
#[derive(Debug)]
pub(super) struct PostgresPeer {
    pool: Pool,
}

impl PostgresPeer {
    /// Connects `connections` times.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub(super) async fn connect(
        statements: &Statements,
        url: String,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let prepared = [BUY, statements.put_in, statements.units];
        Ok(Self { pool: Pool::connect(&url, connections, &prepared).await? })
    }
}

impl Decide for PostgresPeer {
    async fn decide(&self, ask: Ask<'_>) -> anyhow::Result<Decision> {
        let quantity = i64::from(ask.quantity);
        let row = self.pool.row(0, &[&ask.key, &ask.product_id, &ask.buyer_id, &quantity]).await?;
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
