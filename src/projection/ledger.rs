//! Totals read back from the tables: what `demo` and `rehearse` compare with answers and log.
//!
//! Reads one moment's tables and never writes. Cost: each order line is read by the database.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::runtime::Builder;
use tokio_postgres::types::Type;

use super::options::StoreConfig;
use super::postgres::{READ_PROGRESS, Server, limited, progress_columns, unavailable};
use super::sqlite;
use super::sqlite_room;
use super::store::{Progress, StoreError};

/// Longest time the reading may take.
const READ_LIMIT: Duration = Duration::from_secs(300);

const PRODUCTS: &str = "SELECT product_id, stock, held, sold, version FROM products \
     ORDER BY product_id";

/// Grouped by price: a sum of money may pass what a database counts exactly.
const LINES: &str = "SELECT product_id, currency, unit_price_minor, CAST(sum(quantity - cancelled) AS \
     bigint), count(*) FROM order_lines GROUP BY product_id, currency, unit_price_minor";

const COUNTS: &str = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM movements), \
     (SELECT count(*) FROM quarantine), (SELECT CAST(coalesce(sum(refusals), 0) AS bigint) FROM refusal_counts)";

/// What the tables hold in all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// How far the tables are; `None`: nothing was ever written.
    pub progress: Option<Progress>,
    /// Rows of `orders`.
    pub orders: u64,
    /// Rows of `order_lines`.
    pub order_lines: u64,
    /// Rows of `movements`.
    pub movements: u64,
    /// Rows of `quarantine`: while there are any, the other figures lack something.
    pub quarantined: u64,
    /// Refusals counted.
    pub refusals: u64,
    /// By product id: those with a row or with an order line.
    pub products: BTreeMap<String, ProductTotals>,
}

/// What the tables hold of one product.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductTotals {
    /// Units put in, by its row.
    pub stock: u64,
    /// Units in live holds, by its row.
    pub held: u64,
    /// Units sold, by its row.
    pub sold: u64,
    /// Its last change, by its row; 0 without one.
    pub version: u64,
    /// Order lines that name it.
    pub lines: u64,
    /// Units sold, less returned, by its order lines.
    pub units: u64,
    /// Money for these units by currency in minor units; lines without a price add nothing.
    pub money_minor: BTreeMap<String, u128>,
}

/// Why totals cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database cannot be read; the text says why, without a password.
    #[error("cannot read the projection: {0}")]
    Database(String),
    /// The system has no thread or file left.
    #[error("cannot read the projection: {0}")]
    System(std::io::Error),
}

/// Rows as both databases give them.
struct Read {
    progress: Option<Progress>,
    counts: [i64; 4],
    products: Vec<(String, [i64; 4])>,
    lines: Vec<LineGroup>,
}

struct LineGroup {
    product_id: String,
    currency: Option<String>,
    unit_price_minor: Option<i64>,
    units: i64,
    lines: i64,
}

impl Ledger {
    /// Reads the totals of `partition`'s progress and of all rows. Blocks; any thread may call.
    ///
    /// # Errors
    /// The database is away, or has no such tables yet.
    pub fn read(config: &StoreConfig, partition: u16) -> Result<Self, LedgerError> {
        let read = match config {
            StoreConfig::Sqlite { path } => read_sqlite(path, partition)
                .map_err(|error| LedgerError::Database(error.to_string()))?,
            StoreConfig::Postgres { url, schema } => {
                read_postgres(Server::new(url, schema, READ_LIMIT), partition)?
            }
        };
        Ok(read.total())
    }

    /// Units sold, less returned, by all order lines.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.products.values().map(|product| product.units).sum()
    }
}

impl Read {
    fn total(self) -> Ledger {
        let figure = |value: i64| u64::try_from(value).unwrap_or(0);
        let [orders, movements, quarantined, refusals] = self.counts.map(figure);
        let mut products = BTreeMap::<String, ProductTotals>::new();
        for (product_id, row) in self.products {
            let [stock, held, sold, version] = row.map(figure);
            let totals = ProductTotals { stock, held, sold, version, ..ProductTotals::default() };
            products.insert(product_id, totals);
        }
        let mut order_lines = 0;
        for group in self.lines {
            let totals = products.entry(group.product_id).or_default();
            order_lines += figure(group.lines);
            totals.lines += figure(group.lines);
            totals.units += figure(group.units);
            if let (Some(currency), Some(price)) = (group.currency, group.unit_price_minor) {
                let money = u128::from(figure(price)) * u128::from(figure(group.units));
                *totals.money_minor.entry(currency).or_default() += money;
            }
        }
        let progress = self.progress;
        Ledger { progress, orders, order_lines, movements, quarantined, refusals, products }
    }
}

/// How far an SQLite file is; `None`: there is none, it holds no copy yet, or it cannot be read.
#[must_use]
pub fn sqlite_progress(path: &Path, partition: u16) -> Option<Progress> {
    let connection = open_sqlite(path).ok()?;
    let row = connection.query_row(sqlite::READ_PROGRESS, [partition], sqlite::progress_columns);
    row.ok()?.try_into().ok()
}

fn open_sqlite(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = sqlite_room::open(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn read_sqlite(path: &Path, partition: u16) -> rusqlite::Result<Read> {
    let connection = open_sqlite(path)?;
    // One transaction, so that all statements see the same moment.
    let transaction = connection.unchecked_transaction()?;
    let mut progress = transaction.prepare(sqlite::READ_PROGRESS)?;
    let progress = progress.query_map([partition], sqlite::progress_columns)?;
    let progress = progress.last().transpose()?.and_then(|row| row.try_into().ok());
    let counts = transaction
        .query_row(COUNTS, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    let mut products = transaction.prepare(PRODUCTS)?;
    let products = products.query_map([], |row| {
        Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]))
    })?;
    let products = products.collect::<rusqlite::Result<_>>()?;
    let mut lines = transaction.prepare(LINES)?;
    let lines = lines.query_map([], |row| {
        Ok(LineGroup {
            product_id: row.get(0)?,
            currency: row.get(1)?,
            unit_price_minor: row.get(2)?,
            units: row.get(3)?,
            lines: row.get(4)?,
        })
    })?;
    let lines = lines.collect::<rusqlite::Result<_>>()?;
    Ok(Read { progress, counts, products, lines })
}

/// On a thread of its own: the caller may be inside a runtime, where another cannot block.
fn read_postgres(server: Server, partition: u16) -> Result<Read, LedgerError> {
    let work = move || {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(LedgerError::System)?;
        let read = limited(READ_LIMIT, query_postgres(&server, i32::from(partition)));
        runtime.block_on(read).map_err(|error| LedgerError::Database(error.to_string()))
    };
    let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(work);
    let thread = thread.map_err(LedgerError::System)?;
    thread.join().unwrap_or_else(|_| Err(LedgerError::Database("the thread panicked".to_owned())))
}

async fn query_postgres(server: &Server, partition: i32) -> Result<Read, StoreError> {
    let client = server.connect().await?;
    server.begin_reading(&client).await.map_err(unavailable)?;
    let query = async {
        let progress = client.query_typed_opt(READ_PROGRESS, &[(&partition, Type::INT4)]).await?;
        let progress = progress.map(|row| progress_columns(&row)).transpose()?;
        let row = client.query_typed_one(COUNTS, &[]).await?;
        let counts = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?];
        let mut products = Vec::new();
        for row in client.query_typed(PRODUCTS, &[]).await? {
            let figures = [row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?];
            products.push((row.try_get(0)?, figures));
        }
        let mut lines = Vec::new();
        for row in client.query_typed(LINES, &[]).await? {
            lines.push(LineGroup {
                product_id: row.try_get(0)?,
                currency: row.try_get(1)?,
                unit_price_minor: row.try_get(2)?,
                units: row.try_get(3)?,
                lines: row.try_get(4)?,
            });
        }
        client.batch_execute("COMMIT").await?;
        let progress = progress.and_then(|row| row.try_into().ok());
        Ok::<_, tokio_postgres::Error>(Read { progress, counts, products, lines })
    };
    query.await.map_err(unavailable)
}
