//! The database against the log: each order once with its lines, each hold with its end, each
//! product with its figures and its movements.
//!
//! Proves, once the projection says that it is complete:
//! - `orders` and `order_lines` are the log's orders, with what was cancelled of each line: none
//!   missing, none more, no field another;
//! - `holds` are the log's holds, as they are now;
//! - `products` has the figures that the log's records make;
//! - `movements` has each version of each product once, as its record made it, and they add up to
//!   its figures;
//! - nothing is in `quarantine`, and no line belongs to no order.
//!
//! Rows are compared by a digest for each record that made some, in pages, so that a log of
//! millions fits in memory; those that differ are read again to be told.

mod expected;
mod found;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;

use self::expected::Expected;
use self::found::Table;
use crate::database::{Database, Reader, Row};
use crate::faults::{FaultKind, Faults};
use crate::model::Model;

/// Sequences in a page of a small log.
const PAGE_MIN: u64 = 20_000;
/// Most pages of a table. Its rows have no index by sequence: every page reads the whole table.
const PAGES_MAX: u64 = 16;
/// Records that are told when their rows differ.
const TOLD_MAX: usize = 5;
/// How often progress is looked at.
const POLL: Duration = Duration::from_millis(20);

/// What was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Orders in the log, and in the database.
    pub orders: u64,
    /// Holds in the log, and in the database.
    pub holds: u64,
    /// Products in the log.
    pub products: u64,
    /// Movements in the database.
    pub movements: u64,
}

impl std::ops::AddAssign for Compared {
    fn add_assign(&mut self, other: Self) {
        let Self { orders, holds, products, movements } = other;
        self.orders += orders;
        self.holds += holds;
        self.products += products;
        self.movements += movements;
    }
}

/// Opens a database once the projection is complete up to `sequence`: it may not be there yet. How long
/// that takes is the machine's affair, as long as it goes on.
///
/// # Errors
/// It does not go on for as long as `patience`.
pub async fn caught_up(
    database: &Database,
    sequence: u64,
    patience: Duration,
) -> anyhow::Result<Reader> {
    let (mut until, mut furthest) = (Instant::now() + patience, 0);
    loop {
        let reached = progress(database).await;
        let told = match reached {
            Ok((reader, reached)) if reached >= sequence => return Ok(reader),
            Ok((_, reached)) => {
                if reached > furthest {
                    (until, furthest) = (Instant::now() + patience, reached);
                }
                format!("it is at {reached}")
            }
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() > until {
            bail!(
                "the projection is not at {sequence} and has not gone on for {patience:?}: {told}"
            );
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn progress(database: &Database) -> anyhow::Result<(Reader, u64)> {
    let reader = database.open().await?;
    let sql = "SELECT CAST(COALESCE(MAX(sequence), 0) AS text) FROM progress";
    let reached = reader.number(sql).await.context("cannot read progress")?;
    Ok((reader, reached))
}

/// As [`compare`], with a database as it stands and a runtime of its own.
///
/// # Errors
/// One of them cannot be read.
pub fn check(
    directory: &Path,
    database: &Database,
    faults: &mut Faults,
) -> anyhow::Result<Compared> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let reader = database.open().await?;
        compare(directory, &reader, faults).await
    })
}

/// Compares a database with a log that nobody writes any more, or that is at rest.
///
/// # Errors
/// One of them cannot be read.
pub async fn compare(
    directory: &Path,
    reader: &Reader,
    faults: &mut Faults,
) -> anyhow::Result<Compared> {
    let expected = Expected::read(directory)?;
    for table in Table::ALL {
        let differing = compare_table(table, &expected, reader, faults).await?;
        tell(table, directory, &expected, reader, &differing, faults).await?;
    }
    compare_products(&expected.model, reader, faults).await?;
    none_of(reader, "quarantine", "records are in quarantine", faults).await?;
    let orphans = "order_lines WHERE NOT EXISTS \
                   (SELECT 1 FROM orders WHERE orders.order_id = order_lines.order_id)";
    none_of(reader, orphans, "lines belong to no order", faults).await?;
    let movements = reader.number("SELECT CAST(count(*) AS text) FROM movements").await?;
    Ok(Compared {
        orders: expected.digests(Table::Orders).len() as u64,
        holds: expected.digests(Table::Holds).len() as u64,
        products: expected.model.products().len() as u64,
        movements,
    })
}

async fn none_of(
    reader: &Reader,
    table: &str,
    what: &str,
    faults: &mut Faults,
) -> anyhow::Result<()> {
    let count = reader.number(&format!("SELECT CAST(count(*) AS text) FROM {table}")).await?;
    if count > 0 {
        faults.add(FaultKind::Projection, || format!("{count} {what}"));
    }
    Ok(())
}

fn column(row: &Row, place: usize) -> &str {
    row.get(place).and_then(Option::as_deref).unwrap_or("NULL")
}

fn words(row: &Row, places: std::ops::Range<usize>) -> String {
    places.map(|place| column(row, place)).collect::<Vec<_>>().join(" ")
}

/// The sequences whose rows differ; those missing or doubled are told here.
async fn compare_table(
    table: Table,
    expected: &Expected,
    reader: &Reader,
    faults: &mut Faults,
) -> anyhow::Result<BTreeSet<u64>> {
    let (last, digests) = (expected.model.last_sequence(), expected.digests(table));
    let mut differing = BTreeSet::new();
    let (mut from, sequences) = (0, PAGE_MIN.max(last / PAGES_MAX + 1));
    while from <= last {
        let page = table.texts(reader, from, from + sequences).await?;
        let mut seen = BTreeSet::new();
        for (sequence, text) in &page {
            if !seen.insert(*sequence) {
                faults.add(FaultKind::Projection, || format!("twice in the database: {text}"));
            }
            match digests.get(sequence) {
                None => faults.add(FaultKind::Projection, || format!("not in the log: {text}")),
                Some(found) if *found == expected::digest(text) => {}
                Some(_) => drop(differing.insert(*sequence)),
            }
        }
        for (sequence, _) in digests.range(from..from + sequences) {
            if !seen.contains(sequence) {
                faults.add(FaultKind::Projection, || {
                    format!("{} of sequence {sequence} is not in the database", table.what())
                });
            }
        }
        from += sequences;
    }
    let beyond = format!("{} WHERE sequence > {last}", table.name());
    let what = format!("{} are beyond the log's end", table.name());
    none_of(reader, &beyond, &what, faults).await?;
    Ok(differing)
}

/// Tells the rows that differ, the first of them with both sides.
async fn tell(
    table: Table,
    directory: &Path,
    expected: &Expected,
    reader: &Reader,
    differing: &BTreeSet<u64>,
    faults: &mut Faults,
) -> anyhow::Result<()> {
    let told: BTreeSet<u64> = differing.iter().copied().take(TOLD_MAX).collect();
    let mut texts = BTreeMap::new();
    if !told.is_empty() {
        expected::each_text(directory, Some(&expected.model), |of, sequence, text| {
            if of == table && told.contains(&sequence) {
                texts.insert(sequence, text);
            }
        })?;
    }
    for sequence in differing {
        let found = match told.contains(sequence) {
            true => table.texts(reader, *sequence, sequence + 1).await?,
            false => Vec::new(),
        };
        faults.add(FaultKind::Projection, || {
            let logged = texts.get(sequence).cloned().unwrap_or_default();
            let found: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
            format!("sequence {sequence}: the log has {logged}, the database {found:?}")
        });
    }
    Ok(())
}

async fn compare_products(
    model: &Model,
    reader: &Reader,
    faults: &mut Faults,
) -> anyhow::Result<()> {
    let sql = "SELECT p.product_id, CAST(p.stock AS text), CAST(p.held AS text), \
               CAST(p.sold AS text), CAST(p.version AS text), CAST(COALESCE(m.first, 0) AS text), \
               CAST(COALESCE(m.last, 0) AS text), CAST(COALESCE(m.count, 0) AS text), \
               CAST(COALESCE(m.stock, 0) AS text), CAST(COALESCE(m.held, 0) AS text), \
               CAST(COALESCE(m.sold, 0) AS text) \
               FROM products p LEFT JOIN (SELECT product_id, MIN(version) AS first, \
               MAX(version) AS last, COUNT(*) AS count, SUM(stock_delta) AS stock, \
               SUM(held_delta) AS held, SUM(sold_delta) AS sold \
               FROM movements GROUP BY product_id) m \
               ON m.product_id = p.product_id ORDER BY p.product_id";
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for row in reader.rows(sql).await? {
        found.insert(column(&row, 0).to_owned(), words(&row, 1..11));
    }
    for shelf in model.products() {
        let (id, version) = (&*shelf.product_id, shelf.version());
        let figures = format!("{} {} {}", shelf.stock, shelf.held, shelf.sold);
        let expected = format!("{figures} {version} 1 {version} {version} {figures}");
        let found = found.remove(id).unwrap_or_else(|| "nothing".to_owned());
        if found != expected {
            faults.add(FaultKind::Projection, || {
                format!(
                    "{id} (stock, held, sold, version; movements' first, last, count, stock, held, \
                     sold): \
                     the log makes {expected}, the database has {found}"
                )
            });
        }
    }
    for id in found.keys() {
        faults.add(FaultKind::Projection, || format!("product {id} is not in the log"));
    }
    Ok(())
}
