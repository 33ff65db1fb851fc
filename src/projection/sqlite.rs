//! SQLite: the embedded database, one file in the data directory.
//!
//! In WAL mode with `synchronous=NORMAL`: readers never block the projector, and a batch costs no
//! sync. A power loss may take the last transactions, and `progress` with them, so those records
//! are written again at the next start: still exactly once.

mod orders;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, ffi, params};

use super::migrations::{InSqlite, SQLITE, runner};
use super::plan::{plan, touched};
use super::rows::{Found, ProductRow, Rows};
use super::store::{
    Applied, Batch, ContentError, Opened, ProgressColumns, Store, StoreError, journal_id_text,
};
use super::time::{ms_of_rfc3339, rfc3339};
use crate::journal::JournalIdentity;

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

/// The settings of each connection. The cache holds the upper pages of the indexes; the limit
/// gives back what a catch-up made of the write-ahead file.
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
    PRAGMA cache_size = -32768; PRAGMA journal_size_limit = 67108864;";

pub(super) const READ_PROGRESS: &str =
    "SELECT journal_id, partition, epoch, sequence, checksum FROM progress WHERE partition = ?1";

const BEGIN_PROGRESS: &str = "INSERT INTO progress (partition, journal_id, epoch, sequence, checksum) \
     VALUES (?1, ?2, ?3, 0, 0) ON CONFLICT DO NOTHING";

const GUARD: &str = "UPDATE progress SET sequence = ?1, checksum = ?2, \
     decided_at = coalesce(?3, decided_at), written_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
     WHERE partition = ?4 AND journal_id = ?5 AND epoch = ?6 AND sequence = ?7 AND checksum = ?8";

const READ_PRODUCT: &str = "SELECT product_id, handle, name, price_minor, currency, sale_id, \
     opens_at, closes_at, oversell_limit, safety_stock, per_buyer_limit, low_stock_threshold, \
     paused, returns_free_limit, stock, held, sold, version, terms_version, created_at, updated_at \
     FROM products WHERE partition = ?1 AND handle = ?2";

const CREATE_PRODUCT: &str = "INSERT INTO products (partition, product_id, handle, name, \
     price_minor, currency, sale_id, opens_at, closes_at, oversell_limit, safety_stock, \
     per_buyer_limit, low_stock_threshold, paused, returns_free_limit, stock, held, sold, version, \
     terms_version, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, \
     ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)";

const CHANGE_PRODUCT: &str = "UPDATE products SET name = ?3, price_minor = ?4, currency = ?5, \
     sale_id = ?6, opens_at = ?7, closes_at = ?8, oversell_limit = ?9, safety_stock = ?10, \
     per_buyer_limit = ?11, low_stock_threshold = ?12, paused = ?13, returns_free_limit = ?14, \
     stock = ?15, held = ?16, sold = ?17, version = ?18, terms_version = ?19, updated_at = ?20 \
     WHERE partition = ?1 AND handle = ?2 AND version = ?21";

const ADD_MOVEMENT: &str = "INSERT INTO movements (partition, product_id, version, sequence, kind, \
     decided_at, stock_delta, held_delta, sold_delta, stock, held, sold, reason, text, terms, \
     order_id, hold_id, reference, principal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
     ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";

const ADD_REFUSALS: &str = "INSERT INTO refusal_counts (partition, sequence, product_id, reason, \
     minute, refusals) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const SET_ASIDE: &str = "INSERT INTO quarantine (partition, sequence, kind, decided_at, code, \
     error, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// The projection in a SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    connection: Option<Connection>,
    /// The file that is open; another under its name is not this one.
    opened: Option<FilePlace>,
}

/// Device and inode of a file.
pub(super) type FilePlace = (u64, u64);

impl SqliteStore {
    /// A store in this file, made when it is opened.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), connection: None, opened: None }
    }
}

impl Store for SqliteStore {
    fn place(&self) -> String {
        format!("the SQLite file {}", self.path.display())
    }

    fn kind(&self) -> &'static str {
        "file"
    }

    fn is_on_data_disk(&self) -> bool {
        true
    }

    fn open(&mut self, identity: &JournalIdentity) -> Result<Opened, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.path).map_err(unavailable)?;
                self.opened = place_of(&self.path);
                connection
            }
        };
        let connection = self.connection.insert(connection);
        read_or_begin(connection, identity)
    }

    fn apply(&mut self, batch: &Batch<'_>) -> Result<Applied, StoreError> {
        if self.opened != place_of(&self.path) {
            self.connection = None;
            let moved = "the file was moved, removed or replaced; what is there now is opened";
            return Err(StoreError::Unavailable(moved.to_owned()));
        }
        let not_open = || StoreError::Unavailable("the file is not open".to_owned());
        let connection = self.connection.as_mut().ok_or_else(not_open)?;
        let result = write(connection, batch);
        if matches!(result, Err(StoreError::Unavailable(_))) {
            // The file may have been moved or replaced: open what is there now.
            self.connection = None;
        }
        result
    }
}

/// Which file stands under a name.
pub(super) fn place_of(path: &Path) -> Option<FilePlace> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Makes the file where it is missing, for its owner alone: it names buyers. SQLite gives its
/// companions the same mode. What goes wrong here goes wrong again, and is told, at opening.
#[expect(clippy::disallowed_methods, reason = "the adapter of this file")]
fn make_private(path: &Path) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let _ = options.write(true).create_new(true).mode(0o600).open(path);
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    make_private(path);
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(SETTINGS)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn read_or_begin(
    connection: &mut Connection,
    identity: &JournalIdentity,
) -> Result<Opened, StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(unavailable)?;
    let migrations = runner(SQLITE).and_then(|runner| runner.run(&mut InSqlite(&transaction)));
    migrations.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let partition = identity.partition;
    let id = journal_id_text(&identity.journal_id);
    transaction
        .execute(BEGIN_PROGRESS, params![partition, id, identity.epoch])
        .map_err(unavailable)?;
    let row =
        transaction.query_row(READ_PROGRESS, [partition], progress_columns).map_err(unavailable)?;
    let quarantined =
        transaction.query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0));
    let quarantined: i64 = quarantined.map_err(unavailable)?;
    transaction.commit().map_err(unavailable)?;
    let quarantined = u64::try_from(quarantined).unwrap_or(0);
    Ok(Opened { progress: row.try_into()?, quarantined })
}

pub(super) fn progress_columns(row: &Row<'_>) -> rusqlite::Result<ProgressColumns> {
    Ok(ProgressColumns {
        journal_id: row.get(0)?,
        partition: row.get(1)?,
        epoch: row.get(2)?,
        sequence: row.get(3)?,
        checksum: row.get(4)?,
    })
}

fn write(connection: &mut Connection, batch: &Batch<'_>) -> Result<Applied, StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(unavailable)?;
    let (from, progress) = (batch.from, batch.upto());
    let partition = from.identity.partition;
    let guarded = transaction
        .prepare_cached(GUARD)
        .and_then(|mut guard| {
            guard.execute(params![
                progress.sequence.get(),
                progress.checksum,
                batch.decided_at_ms().map(rfc3339),
                partition,
                journal_id_text(&from.identity.journal_id),
                from.identity.epoch,
                from.sequence.get(),
                from.checksum,
            ])
        })
        .map_err(unavailable)?;
    if guarded != 1 {
        return Err(StoreError::Raced);
    }
    let touched = touched(batch);
    let products =
        read_products(&transaction, partition, &touched.products).map_err(unavailable)?;
    let mut found = Found { products, ..Found::default() };
    orders::read(&transaction, &touched, &mut found).map_err(unavailable)?;
    let rows = plan(batch, found);
    if !insert(&transaction, partition, &rows).map_err(of_content)? {
        // Between the reading and the writing of one transaction nobody else can write.
        return Err(StoreError::Raced);
    }
    transaction.commit().map_err(of_content)?;
    Ok(Applied { progress, quarantined: rows.quarantined.len() as u64 })
}

fn read_products(
    connection: &Connection,
    partition: u16,
    handles: &[i64],
) -> rusqlite::Result<Vec<ProductRow>> {
    let mut read = connection.prepare_cached(READ_PRODUCT)?;
    let mut rows = Vec::with_capacity(handles.len());
    for handle in handles {
        rows.extend(read.query_row(params![partition, handle], product_row).optional()?);
    }
    Ok(rows)
}

fn product_row(row: &Row<'_>) -> rusqlite::Result<ProductRow> {
    let time = |column: usize| -> rusqlite::Result<Option<i64>> {
        let text: Option<String> = row.get(column)?;
        Ok(text.as_deref().and_then(ms_of_rfc3339))
    };
    let product_id: String = row.get(0)?;
    Ok(ProductRow {
        product_id: product_id.into(),
        handle: row.get(1)?,
        name: row.get(2)?,
        price_minor: row.get(3)?,
        currency: row.get(4)?,
        sale_id: row.get(5)?,
        opens_at_ms: time(6)?,
        closes_at_ms: time(7)?,
        oversell_limit: row.get(8)?,
        safety_stock: row.get(9)?,
        per_buyer_limit: row.get(10)?,
        low_stock_threshold: row.get(11)?,
        paused: row.get(12)?,
        returns_free_limit: row.get(13)?,
        stock: row.get(14)?,
        held: row.get(15)?,
        sold: row.get(16)?,
        version: row.get(17)?,
        terms_version: row.get(18)?,
        created_at_ms: time(19)?.unwrap_or(0),
        updated_at_ms: time(20)?.unwrap_or(0),
    })
}

/// Writes all rows; `false`: a product was not at the version just read.
fn insert(connection: &Connection, partition: u16, rows: &Rows<'_>) -> rusqlite::Result<bool> {
    insert_products(connection, partition, rows)?;
    if !change_products(connection, partition, rows)? || !orders::change(connection, rows)? {
        return Ok(false);
    }
    orders::insert(connection, partition, rows)?;
    insert_movements(connection, partition, rows)?;
    let mut add = connection.prepare_cached(ADD_REFUSALS)?;
    for row in &rows.refusals {
        let minute = rfc3339(row.minute_ms);
        let (product_id, reason) = (&*row.product_id, row.reason);
        add.execute(params![partition, row.sequence, product_id, reason, minute, row.refusals])?;
    }
    let mut set_aside = connection.prepare_cached(SET_ASIDE)?;
    for row in &rows.quarantined {
        let at = row.decided_at_ms.map(rfc3339);
        let (code, error, record) = (&row.code, &row.error, &row.record);
        set_aside.execute(params![partition, row.sequence, row.kind, at, code, error, record])?;
    }
    Ok(true)
}

fn insert_products(
    connection: &Connection,
    partition: u16,
    rows: &Rows<'_>,
) -> rusqlite::Result<()> {
    let mut create = connection.prepare_cached(CREATE_PRODUCT)?;
    for row in &rows.created {
        create.execute(params![
            partition,
            &*row.product_id,
            row.handle,
            row.name,
            row.price_minor,
            row.currency,
            row.sale_id,
            row.opens_at_ms.map(rfc3339),
            row.closes_at_ms.map(rfc3339),
            row.oversell_limit,
            row.safety_stock,
            row.per_buyer_limit,
            row.low_stock_threshold,
            row.paused,
            row.returns_free_limit,
            row.stock,
            row.held,
            row.sold,
            row.version,
            row.terms_version,
            rfc3339(row.created_at_ms),
            rfc3339(row.updated_at_ms),
        ])?;
    }
    Ok(())
}

fn change_products(
    connection: &Connection,
    partition: u16,
    rows: &Rows<'_>,
) -> rusqlite::Result<bool> {
    let mut change = connection.prepare_cached(CHANGE_PRODUCT)?;
    for changed in &rows.changed {
        let row = &changed.row;
        let count = change.execute(params![
            partition,
            row.handle,
            row.name,
            row.price_minor,
            row.currency,
            row.sale_id,
            row.opens_at_ms.map(rfc3339),
            row.closes_at_ms.map(rfc3339),
            row.oversell_limit,
            row.safety_stock,
            row.per_buyer_limit,
            row.low_stock_threshold,
            row.paused,
            row.returns_free_limit,
            row.stock,
            row.held,
            row.sold,
            row.version,
            row.terms_version,
            rfc3339(row.updated_at_ms),
            changed.expected,
        ])?;
        if count != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn insert_movements(
    connection: &Connection,
    partition: u16,
    rows: &Rows<'_>,
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(ADD_MOVEMENT)?;
    for row in &rows.movements {
        add.execute(params![
            partition,
            &*row.product_id,
            row.version,
            row.sequence,
            row.kind,
            rfc3339(row.decided_at_ms),
            row.deltas.stock,
            row.deltas.held,
            row.deltas.sold,
            row.stock,
            row.held,
            row.sold,
            row.reason,
            row.text,
            row.terms.as_deref(),
            row.order_id.as_deref(),
            row.hold_id.as_deref(),
            row.reference,
            row.principal,
        ])?;
    }
    Ok(())
}

/// A failure that says nothing about what the records hold.
pub(super) fn unavailable(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// A failure after the guard, which may be about what the records hold.
fn of_content(error: rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(code, _) = &error else { return unavailable(error) };
    if code.code != ErrorCode::ConstraintViolation {
        return unavailable(error);
    }
    match code.extended_code {
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_ROWID => StoreError::Collision(error.to_string()),
        code => {
            let message = error.to_string();
            StoreError::Content(ContentError { code: format!("sqlite-{code}"), message })
        }
    }
}
