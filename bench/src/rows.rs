//! The database against the log: each order once with its lines, each product with its figures.
//!
//! Proves, once the projection says that it is complete:
//! - `orders` and `order_lines` are the log's orders: none missing, none more, no field another;
//! - `products` has the figures that the log's records make;
//! - `movements` has each version of each product once, and they add up to its figures;
//! - nothing is in `quarantine`, and no line belongs to no order.
//!
//! Orders are compared by a digest each, in pages, so that a log of millions fits in memory; those
//! that differ are read again to be told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::database::{Database, Reader, Row};
use crate::faults::{FaultKind, Faults};
use crate::log::Log;
use crate::model::Model;
use crate::payload::{Decision, Payload};
use crate::place::Place;

/// Sequences in a page.
const PAGE: u64 = 20_000;
/// Orders that are told when they differ.
const TOLD_MAX: usize = 5;
/// How often progress is looked at.
const POLL: Duration = Duration::from_millis(20);

/// What was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Orders in the log, and in the database.
    pub orders: u64,
    /// Products in the log.
    pub products: u64,
    /// Movements in the database.
    pub movements: u64,
}

/// What a log's records should have become.
struct Expected {
    /// Digest of each order, by sequence.
    orders: BTreeMap<u64, u64>,
    model: Model,
}

/// Opens a database once the projection is complete up to `sequence`: it may not be there yet.
///
/// # Errors
/// It takes longer than `limit`.
pub async fn caught_up(
    database: &Database,
    sequence: u64,
    limit: Duration,
) -> anyhow::Result<Reader> {
    let until = Instant::now() + limit;
    loop {
        let reached = progress(database).await;
        let told = match reached {
            Ok((reader, reached)) if reached >= sequence => return Ok(reader),
            Ok((_, reached)) => format!("it is at {reached}"),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() > until {
            bail!("the projection is not at {sequence} after {limit:?}: {told}");
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
    let differing = compare_orders(&expected, reader, faults).await?;
    tell(directory, reader, &differing, faults).await?;
    compare_products(&expected.model, reader, faults).await?;
    none_of(reader, "quarantine", "records are in quarantine", faults).await?;
    let orphans = "order_lines WHERE NOT EXISTS \
                   (SELECT 1 FROM orders WHERE orders.order_id = order_lines.order_id)";
    none_of(reader, orphans, "lines belong to no order", faults).await?;
    let movements = reader.number("SELECT CAST(count(*) AS text) FROM movements").await?;
    Ok(Compared {
        orders: expected.orders.len() as u64,
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

impl Expected {
    fn read(directory: &Path) -> anyhow::Result<Self> {
        let mut expected = Self { orders: BTreeMap::new(), model: Model::default() };
        let mut names = Vec::new();
        // What the log says by itself is the checker's to judge.
        let mut ignored = Faults::default();
        each_order(directory, |sequence, payload, owner| {
            expected.model.apply(sequence, payload, &mut ignored);
            note_name(payload, &mut names);
            if let Some(text) = order_text(sequence, payload, &names, owner) {
                expected.orders.insert(sequence, digest(&text));
            }
        })?;
        Ok(expected)
    }
}

/// Shows every record of the log, with partition and epoch.
fn each_order(
    directory: &Path,
    mut show: impl FnMut(u64, &Payload<'_>, (u16, u32)),
) -> anyhow::Result<()> {
    let log = Log::open(directory)?;
    let mut broken = None;
    log.read(log.first_sequence(), |frame| match Payload::parse(frame.payload) {
        Ok(payload) => show(frame.sequence, &payload, log.owner()),
        Err(error) => broken = broken.take().or(Some((frame.sequence, error))),
    })?;
    match broken {
        None => Ok(()),
        Some((sequence, error)) => bail!("sequence {sequence}: {error}"),
    }
}

/// Handles are given in order of creation.
fn note_name(payload: &Payload<'_>, names: &mut Vec<String>) {
    if let Payload::Decision(_, Decision::ProductCreated { product_id, .. }) = payload {
        names.push((*product_id).to_owned());
    }
}

/// An order and its lines in one line of text, as a query below gives them.
fn order_text(
    sequence: u64,
    payload: &Payload<'_>,
    names: &[String],
    (partition, epoch): (u16, u32),
) -> Option<String> {
    let Payload::Decision(envelope, Decision::OrderPlaced { buyer_id, lines }) = payload else {
        return None;
    };
    let order_id = Place { partition, epoch, sequence }.word(b'o');
    let reference = envelope.reference.unwrap_or("NULL");
    let mut text = format!("{order_id} {partition} {buyer_id} {reference} placed");
    for (line_no, line) in (1..).zip(lines) {
        let product = names.get(line.product as usize).map_or("?", String::as_str);
        let price = line.unit_price.map_or_else(
            || "NULL NULL".to_owned(),
            |price| format!("{} {}", price.amount_minor, String::from_utf8_lossy(&price.currency)),
        );
        // Writing to a string does not fail.
        let _ = write!(text, " | {line_no} {product} {} {price}", line.quantity);
    }
    Some(text)
}

/// The orders of a range of sequences in the database, by sequence, as [`order_text`] writes them.
async fn order_texts(reader: &Reader, from: u64, to: u64) -> anyhow::Result<Vec<(u64, String)>> {
    let sql = format!(
        "SELECT CAST(o.sequence AS text), o.order_id, CAST(o.partition AS text), o.buyer_id, \
         o.reference, o.status, CAST(l.line_no AS text), l.product_id, CAST(l.quantity AS text), \
         CAST(l.unit_price_minor AS text), l.currency \
         FROM orders o LEFT JOIN order_lines l ON l.order_id = o.order_id \
         WHERE o.sequence >= {from} AND o.sequence < {to} \
         ORDER BY o.sequence, o.order_id, l.line_no"
    );
    let mut orders: Vec<(u64, String)> = Vec::new();
    let mut last_id = None;
    for row in reader.rows(&sql).await? {
        let sequence = column(&row, 0).parse().context("a sequence")?;
        let id = column(&row, 1).to_owned();
        if last_id.as_ref() != Some(&id) {
            orders.push((sequence, words(&row, 1..6)));
            last_id = Some(id);
        }
        if let Some((_, text)) = orders.last_mut() {
            let _ = write!(text, " | {}", words(&row, 6..11));
        }
    }
    Ok(orders)
}

fn column(row: &Row, place: usize) -> &str {
    row.get(place).and_then(Option::as_deref).unwrap_or("NULL")
}

fn words(row: &Row, places: std::ops::Range<usize>) -> String {
    places.map(|place| column(row, place)).collect::<Vec<_>>().join(" ")
}

fn digest(text: &str) -> u64 {
    let bytes = Sha256::digest(text.as_bytes());
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The sequences whose orders differ; those missing or doubled are told here.
async fn compare_orders(
    expected: &Expected,
    reader: &Reader,
    faults: &mut Faults,
) -> anyhow::Result<BTreeSet<u64>> {
    let last = expected.model.last_sequence();
    let mut differing = BTreeSet::new();
    let mut from = 0;
    while from <= last {
        let page = order_texts(reader, from, from + PAGE).await?;
        let mut seen = BTreeSet::new();
        for (sequence, text) in &page {
            if !seen.insert(*sequence) {
                faults.add(FaultKind::Projection, || format!("twice in the database: {text}"));
            }
            match expected.orders.get(sequence) {
                None => faults.add(FaultKind::Projection, || format!("not in the log: {text}")),
                Some(found) if *found == digest(text) => {}
                Some(_) => drop(differing.insert(*sequence)),
            }
        }
        for (sequence, _) in expected.orders.range(from..from + PAGE) {
            if !seen.contains(sequence) {
                faults.add(FaultKind::Projection, || {
                    format!("the order of sequence {sequence} is not in the database")
                });
            }
        }
        from += PAGE;
    }
    let beyond = format!("orders WHERE sequence > {last}");
    none_of(reader, &beyond, "orders are beyond the log's end", faults).await?;
    Ok(differing)
}

/// Tells the orders that differ, the first of them with both sides.
async fn tell(
    directory: &Path,
    reader: &Reader,
    differing: &BTreeSet<u64>,
    faults: &mut Faults,
) -> anyhow::Result<()> {
    let told: BTreeSet<u64> = differing.iter().copied().take(TOLD_MAX).collect();
    let (mut texts, mut names) = (BTreeMap::new(), Vec::new());
    if !told.is_empty() {
        each_order(directory, |sequence, payload, owner| {
            note_name(payload, &mut names);
            if told.contains(&sequence) {
                texts.insert(sequence, order_text(sequence, payload, &names, owner));
            }
        })?;
    }
    for sequence in differing {
        let found = match told.contains(sequence) {
            true => order_texts(reader, *sequence, sequence + 1).await?,
            false => Vec::new(),
        };
        faults.add(FaultKind::Projection, || {
            let logged = texts.get(sequence).cloned().flatten().unwrap_or_default();
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
    let sql = "SELECT p.product_id, CAST(p.stock AS text), CAST(p.sold AS text), \
               CAST(p.version AS text), CAST(COALESCE(m.first, 0) AS text), \
               CAST(COALESCE(m.last, 0) AS text), CAST(COALESCE(m.count, 0) AS text), \
               CAST(COALESCE(m.stock, 0) AS text), CAST(COALESCE(m.sold, 0) AS text) \
               FROM products p LEFT JOIN (SELECT product_id, MIN(version) AS first, \
               MAX(version) AS last, COUNT(*) AS count, SUM(stock_delta) AS stock, \
               SUM(sold_delta) AS sold FROM movements GROUP BY product_id) m \
               ON m.product_id = p.product_id ORDER BY p.product_id";
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for row in reader.rows(sql).await? {
        found.insert(column(&row, 0).to_owned(), words(&row, 1..9));
    }
    for shelf in model.products() {
        let (id, version) = (&*shelf.product_id, shelf.version());
        let figures = format!("{} {}", shelf.stock, shelf.sold);
        let expected = format!("{figures} {version} 1 {version} {version} {figures}");
        let found = found.remove(id).unwrap_or_else(|| "nothing".to_owned());
        if found != expected {
            faults.add(FaultKind::Projection, || {
                format!(
                    "{id} (stock, sold, version; movements' first, last, count, stock, sold): \
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{self, About, Bytes};

    const SCHEMA: &str = include_str!("../../schema/sqlite/V1__tables.sql");
    const AT: &str = "1970-01-01T00:00:00.000Z";

    fn about<'a>(sequence: u64, reference: &'a str, changes: &'a [(u32, u64)]) -> About<'a> {
        let key = u8::try_from(sequence).ok();
        About { at_ms: sequence, reference: Some(reference), key, changes }
    }

    fn order_id(sequence: u64) -> String {
        Place { partition: 0, epoch: 1, sequence }.word(b'o')
    }

    /// Ten units of ware-0, of which c1 buys two and c3 one, and five more that c2 puts in.
    fn write_log(directory: &Path) {
        let payloads = [
            Bytes::started(1),
            Bytes::created(about(2, "", &[(0, 1)]), "ware-0", 10, (0, 0)),
            Bytes::ordered(about(3, "c1", &[(0, 2)]), "b7", 2),
            Bytes::adjusted(about(4, "c2", &[(0, 3)]), 5, 15, 13),
            Bytes::ordered(about(5, "c3", &[(0, 4)]), "b8", 1),
        ];
        let header = made::header(1, 1, [0; 32]);
        let mut bytes = header.clone();
        for (sequence, payload) in (1..).zip(&payloads) {
            bytes.extend(made::frame(&header, sequence, sequence - 1, payload));
        }
        std::fs::write(directory.join("segment-0000000001.wal"), bytes).expect("room");
    }

    fn write_database(path: &Path) -> rusqlite::Connection {
        let database = rusqlite::Connection::open(path).expect("a database");
        database.execute_batch(SCHEMA).expect("the schema");
        let mut rows = format!(
            "INSERT INTO products VALUES ('ware-0', 0, 0, 'A thing', NULL, NULL, NULL, NULL, NULL,
             0, 0, NULL, NULL, 0, 1, 15, 0, 3, 4, 1, '{AT}', '{AT}');
             INSERT INTO progress (partition, journal_id, epoch, sequence, checksum)
             VALUES (0, '07', 1, 5, 0);"
        );
        for (sequence, buyer, reference, quantity) in [(3, "b7", "c1", 2), (5, "b8", "c3", 1)] {
            let id = order_id(sequence);
            let _ = write!(
                rows,
                "INSERT INTO orders VALUES ('{id}', 0, {sequence}, '{buyer}', '{reference}',
                 'anyone', 'placed', '{AT}');
                 INSERT INTO order_lines VALUES ('{id}', 1, 'ware-0', {quantity}, NULL, NULL);"
            );
        }
        for (version, stock, sold) in [(1, 10, 0), (2, 0, 2), (3, 5, 0), (4, 0, 1)] {
            let _ = write!(
                rows,
                "INSERT INTO movements VALUES ('ware-0', {version}, 0, {version}, 'any', '{AT}',
                 {stock}, 0, {sold}, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 'anyone');"
            );
        }
        database.execute_batch(&rows).expect("rows");
        database
    }

    fn faults_after(lie: &str) -> (Faults, Compared) {
        let directory = tempfile::tempdir().expect("a directory");
        write_log(directory.path());
        let path = directory.path().join("doorbuster.sqlite");
        write_database(&path).execute_batch(lie).expect("a lie that the schema allows");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let mut faults = Faults::default();
        let compared = runtime.expect("a runtime").block_on(async {
            let reader = caught_up(&Database::Sqlite(path), 5, Duration::from_secs(9)).await;
            compare(directory.path(), &reader.expect("progress"), &mut faults).await
        });
        (faults, compared.expect("both can be read"))
    }

    #[test]
    fn an_honest_copy_has_no_fault() {
        let (faults, compared) = faults_after("");
        assert!(faults.is_empty(), "{faults}");
        assert_eq!(compared, Compared { orders: 2, products: 1, movements: 4 });
    }

    #[test]
    fn every_lie_of_the_database_is_found() {
        let (first, other) = (order_id(3), order_id(9));
        let order = |id: &str, sequence: u64| {
            format!(
                "INSERT INTO orders VALUES ('{id}', 0, {sequence}, 'b7', 'c1', 'anyone', 'placed',
                 '{AT}')"
            )
        };
        let cases = [
            (format!("DELETE FROM orders WHERE order_id = '{first}'"), "sequence 3 is not in"),
            (format!("DELETE FROM orders WHERE order_id = '{first}'"), "belong to no order"),
            (order(&other, 3), "twice in the database"),
            (order(&other, 4), "not in the log"),
            (order(&other, 9), "beyond the log's end"),
            ("UPDATE order_lines SET quantity = 3 WHERE quantity = 2".into(), "ware-0 3 NULL"),
            ("UPDATE order_lines SET unit_price_minor = 1, currency = 'GBP'".into(), "1 GBP"),
            ("DELETE FROM order_lines".into(), "sequence 5"),
            ("UPDATE orders SET buyer_id = 'b9' WHERE buyer_id = 'b8'".into(), "b9"),
            ("UPDATE orders SET reference = NULL".into(), "NULL placed"),
            ("UPDATE orders SET status = 'cancelled'".into(), "cancelled"),
            ("UPDATE products SET sold = 2".into(), "ware-0 (stock, sold"),
            ("DELETE FROM products".into(), "has nothing"),
            ("DELETE FROM movements WHERE version = 2".into(), "ware-0 (stock, sold"),
            ("UPDATE movements SET sold_delta = 2 WHERE version = 4".into(), "ware-0 (stock"),
            (
                "INSERT INTO quarantine (partition, sequence, kind, code, error, record)
                 VALUES (0, 3, 'order', '23505', 'why', 'what')"
                    .into(),
                "1 records are in quarantine",
            ),
        ];
        for (lie, part) in cases {
            let (faults, _) = faults_after(&lie);
            let told = faults.first().iter().any(|fault| fault.detail.contains(part));
            assert!(told, "{lie}: {part:?} expected: {faults}");
        }
    }

    #[test]
    fn a_projection_that_does_not_come_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("doorbuster.sqlite");
        write_database(&path);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let database = Database::Sqlite(path);
        let late = runtime.block_on(caught_up(&database, 6, Duration::ZERO));
        let error = late.err().expect("it is at 5").to_string();
        assert!(error.contains("not at 6") && error.contains("is at 5"), "{error}");
    }
}
