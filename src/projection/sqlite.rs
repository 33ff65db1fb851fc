//! SQLite: the embedded database, one file in the data directory.
//!
//! In WAL mode with `synchronous=NORMAL`: readers never block the projector, and a batch costs no
//! sync. A power loss may take the last transactions, and `progress` with them, so those records
//! are written again at the next start: still exactly once.

mod orders;
mod settling;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Statement, ToSql,
    TransactionBehavior, ffi, params,
};

use self::settling::SettleError;
use super::migrations::{InSqlite, SQLITE, runner};
use super::plan::{plan, touched};
use super::rows::{Found, ProductRow, Rows};
use super::sqlite_file::{FileFault, OpenFile};
use super::sqlite_room;
use super::store::{
    Applied, Batch, ContentError, Opened, ProgressColumns, Store, StoreError, journal_id_text,
};
use super::time::{ms_of_rfc3339, rfc3339};
use crate::journal::JournalIdentity;

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

/// The settings of each connection. The cache holds the upper pages of the indexes; the limit
/// gives back what a catch-up made of the write-ahead file. SQLite never moves it by itself: see
/// [`settling`].
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
    PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 67108864; \
    PRAGMA wal_autocheckpoint = 0;";

pub(super) const READ_PROGRESS: &str =
    "SELECT journal_id, partition, epoch, sequence, checksum FROM progress WHERE partition = ?1";

const BEGIN_PROGRESS: &str = "INSERT INTO progress (partition, journal_id, epoch, sequence, checksum) \
     VALUES (?1, ?2, ?3, 0, 0) ON CONFLICT DO NOTHING";

const GUARD: &str = "UPDATE progress SET sequence = ?1, checksum = ?2, epoch = ?9, \
     decided_at = coalesce(?3, decided_at), written_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
     WHERE partition = ?4 AND journal_id = ?5 AND epoch = ?6 AND sequence = ?7 AND checksum = ?8";

/// The columns of a product, in the order in which [`product_row`] reads and [`bind_product`] binds
/// them. The first four never change.
const PRODUCT_COLUMNS: &str = "partition, handle, product_id, created_at, name, price_minor, \
     currency, sale_id, opens_at, closes_at, oversell_limit, safety_stock, per_buyer_limit, \
     low_stock_threshold, paused, returns_free_limit, stock, held, sold, version, terms_version, \
     updated_at";
const PRODUCT_COLUMNS_COUNT: usize = 22;
const PRODUCT_COLUMNS_KEPT: usize = 4;

static READ_PRODUCT: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {PRODUCT_COLUMNS} FROM products WHERE partition = ?1 AND handle = ?2")
});

static CREATE_PRODUCT: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<_> = (1..=PRODUCT_COLUMNS_COUNT).map(|place| format!("?{place}")).collect();
    format!("INSERT INTO products ({PRODUCT_COLUMNS}) VALUES ({})", places.join(", "))
});

static CHANGE_PRODUCT: LazyLock<String> = LazyLock::new(|| {
    let changing = PRODUCT_COLUMNS.split(", ").zip(1..).skip(PRODUCT_COLUMNS_KEPT);
    let set: Vec<_> = changing.map(|(name, place)| format!("{name} = ?{place}")).collect();
    let expected = PRODUCT_COLUMNS_COUNT + 1;
    format!(
        "UPDATE products SET {} WHERE partition = ?1 AND handle = ?2 AND version = ?{expected}",
        set.join(", ")
    )
});

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
    /// Below the connection, and kept when that is opened anew, for as long as it is the file under
    /// the path: closing it would give up the locks of whoever in this process reads it.
    file: Option<OpenFile>,
}

impl SqliteStore {
    /// A store in this file, made when it is opened.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), connection: None, file: None }
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
            None => self.connect()?,
        };
        read_or_begin(self.connection.insert(connection), identity)
    }

    fn apply(&mut self, batch: &Batch<'_>) -> Result<Applied, StoreError> {
        let not_open = || StoreError::Unavailable("the file is not open".to_owned());
        let (connection, file) =
            self.connection.as_mut().zip(self.file.as_ref()).ok_or_else(not_open)?;
        let result = match file.check(&self.path) {
            Ok(()) => write(connection, batch),
            Err(fault) => {
                leave_as_it_is(connection);
                Err(of_file(fault))
            }
        };
        if matches!(result, Err(StoreError::Unavailable(_))) {
            // The file may have been moved or replaced: open what is there now.
            self.connection = None;
        }
        result
    }

    fn unsettled_bytes(&self) -> u64 {
        let bytes = |connection| settling::unsettled_bytes(connection).ok();
        self.connection.as_ref().and_then(bytes).unwrap_or(0)
    }

    fn settle(&mut self, rest: &mut dyn FnMut(Duration)) -> Result<(), StoreError> {
        let Some((connection, file)) = self.connection.as_mut().zip(self.file.as_ref()) else {
            return Ok(());
        };
        if file.check(&self.path).is_err() {
            // The next batch tells.
            return Ok(());
        }
        match settling::settle(connection, &self.path, file.file(), rest) {
            Ok(()) | Err(SettleError::NotNow(_)) => {
                // What it keeps of the file in memory was for what is copied now.
                let _ = connection.execute_batch("PRAGMA shrink_memory");
                Ok(())
            }
            Err(unsynced @ SettleError::Unsynced(..)) => {
                leave_as_it_is(connection);
                self.connection = None;
                Err(StoreError::Unsynced(unsynced.to_string()))
            }
        }
    }
}

impl SqliteStore {
    fn connect(&mut self) -> Result<Connection, StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        let kept = self.file.take().filter(|file| file.is_at(&self.path));
        let file = match kept {
            Some(file) => file,
            None => OpenFile::open(&self.path).map_err(failed)?,
        };
        let file = self.file.insert(file);
        if !file.is_empty() {
            // SQLite would take the first pages from its write-ahead file, and miss the rest later.
            file.check(&self.path).map_err(of_file)?;
        }
        connect(&self.path).map_err(unavailable)
    }
}

/// Closes without writing into a file that may not be ours any more.
fn leave_as_it_is(connection: &Connection) {
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = sqlite_room::open(path, OpenFlags::default())?;
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
                progress.identity.epoch,
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
    let mut read = connection.prepare_cached(&READ_PRODUCT)?;
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
    let product_id: String = row.get(2)?;
    Ok(ProductRow {
        handle: row.get(1)?,
        product_id: product_id.into(),
        created_at_ms: time(3)?.unwrap_or(0),
        name: row.get(4)?,
        price_minor: row.get(5)?,
        currency: row.get(6)?,
        sale_id: row.get(7)?,
        opens_at_ms: time(8)?,
        closes_at_ms: time(9)?,
        oversell_limit: row.get(10)?,
        safety_stock: row.get(11)?,
        per_buyer_limit: row.get(12)?,
        low_stock_threshold: row.get(13)?,
        paused: row.get(14)?,
        returns_free_limit: row.get(15)?,
        stock: row.get(16)?,
        held: row.get(17)?,
        sold: row.get(18)?,
        version: row.get(19)?,
        terms_version: row.get(20)?,
        updated_at_ms: time(21)?.unwrap_or(0),
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
    let mut create = connection.prepare_cached(&CREATE_PRODUCT)?;
    for row in &rows.created {
        bind_product(&mut create, partition, row)?;
        create.raw_execute()?;
    }
    Ok(())
}

fn change_products(
    connection: &Connection,
    partition: u16,
    rows: &Rows<'_>,
) -> rusqlite::Result<bool> {
    let mut change = connection.prepare_cached(&CHANGE_PRODUCT)?;
    for changed in &rows.changed {
        bind_product(&mut change, partition, &changed.row)?;
        change.raw_bind_parameter(PRODUCT_COLUMNS_COUNT + 1, changed.expected)?;
        if change.raw_execute()? != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Binds the values of [`PRODUCT_COLUMNS`], all of them, so that none of the row before is left.
fn bind_product(
    statement: &mut Statement<'_>,
    partition: u16,
    row: &ProductRow,
) -> rusqlite::Result<()> {
    let values: [&dyn ToSql; PRODUCT_COLUMNS_COUNT] = [
        &partition,
        &row.handle,
        &&*row.product_id,
        &rfc3339(row.created_at_ms),
        &row.name,
        &row.price_minor,
        &row.currency,
        &row.sale_id,
        &row.opens_at_ms.map(rfc3339),
        &row.closes_at_ms.map(rfc3339),
        &row.oversell_limit,
        &row.safety_stock,
        &row.per_buyer_limit,
        &row.low_stock_threshold,
        &row.paused,
        &row.returns_free_limit,
        &row.stock,
        &row.held,
        &row.sold,
        &row.version,
        &row.terms_version,
        &rfc3339(row.updated_at_ms),
    ];
    for (value, place) in values.into_iter().zip(1..) {
        statement.raw_bind_parameter::<usize, _>(place, value)?;
    }
    Ok(())
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
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(&error),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

fn of_file(fault: FileFault) -> StoreError {
    match fault {
        FileFault::Replaced => StoreError::Unavailable(fault.to_string()),
        FileFault::Overwritten => damaged(&fault),
    }
}

/// Tried again like all that a person can mend without stopping the sale.
fn damaged(why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!(
        "the file is damaged ({why}): move it away, with its -wal and -shm; a new one is made and \
         filled from the log while sales go on"
    ))
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
