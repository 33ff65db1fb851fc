//! What the database tells of a play: its orders, adjustments, products, and what it could not take.

use std::collections::HashMap;

use anyhow::{Context, bail};

use super::book::Book;
use super::database::{Database, Row};
use super::order::{Adjustment, Line, Order, Price, Status};

/// What the database tells.
#[derive(Debug, Default)]
pub(crate) struct DatabaseBook {
    /// Orders and adjustments in the stretch asked for.
    pub(crate) orders: Book,
    /// Units in stock and not sold, by product, as they stand now.
    pub(crate) left: HashMap<String, i128>,
    /// Records in quarantine.
    pub(crate) quarantined: u64,
}

impl Database {
    /// What it has of the records after `from`, up to `upto`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn read(&self, from: u64, upto: u64) -> anyhow::Result<DatabaseBook> {
        let prefix = self.prefix();
        let mut book = DatabaseBook::default();
        self.read_orders(from, upto, &mut book.orders).await?;
        self.read_adjustments(from, upto, &mut book.orders).await?;
        let products =
            format!("SELECT product_id, CAST(stock - sold AS TEXT) FROM {prefix}products");
        for row in self.rows::<2>(&products).await? {
            let [product_id, left] = row.map(Option::unwrap_or_default);
            book.left.insert(product_id, left.parse().context("a product's figures")?);
        }
        let quarantine = format!(
            "SELECT CAST(COUNT(*) AS TEXT) FROM {prefix}quarantine WHERE sequence > {from}"
        );
        let count = self.rows::<1>(&quarantine).await?.into_iter().flatten().next().flatten();
        book.quarantined = count.unwrap_or_default().parse().context("a count")?;
        Ok(book)
    }

    async fn read_orders(&self, from: u64, upto: u64, book: &mut Book) -> anyhow::Result<()> {
        let prefix = self.prefix();
        let lines = format!(
            "SELECT o.order_id, o.buyer_id, o.reference, o.status, l.product_id, \
             CAST(l.quantity AS TEXT), CAST(l.unit_price_minor AS TEXT), l.currency, \
             CAST(l.cancelled AS TEXT) \
             FROM {prefix}orders o LEFT JOIN {prefix}order_lines l ON l.order_id = o.order_id \
             WHERE o.sequence > {from} AND o.sequence <= {upto} ORDER BY o.sequence, l.line_no"
        );
        let mut open: Option<(String, Order)> = None;
        for row in self.rows(&lines).await? {
            let [Some(order_id), buyer_id, reference, status, line @ ..]: Row<9> = row else {
                bail!("an order without an id in {self}");
            };
            if open.as_ref().is_none_or(|(id, _)| *id != order_id) {
                if let Some((id, order)) = open.take() {
                    book.enter(id, order);
                }
                let status = status.as_deref().and_then(Status::named).context("a status")?;
                let buyer_id = buyer_id.unwrap_or_default();
                open = Some((order_id, Order { buyer_id, reference, status, lines: Vec::new() }));
            }
            if let (Some(line), Some((_, order))) = (line_of(line)?, open.as_mut()) {
                order.lines.push(line);
            }
        }
        if let Some((id, order)) = open {
            book.enter(id, order);
        }
        Ok(())
    }

    async fn read_adjustments(&self, from: u64, upto: u64, book: &mut Book) -> anyhow::Result<()> {
        let prefix = self.prefix();
        let movements = format!(
            "SELECT CAST(sequence AS TEXT), product_id, CAST(stock_delta AS TEXT), reason, text, \
             reference FROM {prefix}movements WHERE kind = 'stock_adjusted' \
             AND sequence > {from} AND sequence <= {upto}"
        );
        for row in self.rows(&movements).await? {
            let [sequence, product_id, delta, reason, text, reference]: Row<6> = row;
            let adjustment = Adjustment {
                product_id: product_id.unwrap_or_default(),
                delta: delta.unwrap_or_default().parse().context("a movement")?,
                reason: reason.unwrap_or_default(),
                text,
                reference,
            };
            let sequence = sequence.unwrap_or_default().parse().context("a sequence")?;
            book.adjust(sequence, adjustment);
        }
        Ok(())
    }
}

/// A line; `None`: the order has none.
fn line_of(row: Row<5>) -> anyhow::Result<Option<Line>> {
    let [Some(product_id), quantity, amount, currency, cancelled] = row else { return Ok(None) };
    let quantity = quantity.unwrap_or_default().parse().context("a quantity")?;
    let cancelled = cancelled.unwrap_or_default().parse().context("cancelled units")?;
    let unit_price = match amount.zip(currency) {
        None => None,
        Some((amount, currency)) => Some(Price {
            amount_minor: amount.parse().context("a price")?,
            currency: currency.trim().to_owned(),
        }),
    };
    Ok(Some(Line { product_id, quantity, unit_price, cancelled }))
}
