//! Reading the SQLite file: a connection that cannot write, opened again when the file is another.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Row, ToSql, Transaction};

use super::pages::{HISTORY, OrdersSql, RawMovement, history_bounds};
use super::{READ_LIMIT, Rows, Tables};
use crate::engine::ports::{HistoryQuery, OrderQuery};
use crate::projection::sqlite::{READ_PROGRESS, progress_columns, unavailable};
use crate::projection::sqlite_file::{FilePlace, place_of};
use crate::projection::sqlite_room;
use crate::projection::store::StoreError;
use crate::projection::time::ms_of_rfc3339;

/// Steps of SQLite's machine between two looks at the time.
const STEPS: std::ffi::c_int = 10_000;

/// The file as one thread reads it.
pub(super) struct SqliteTables {
    path: PathBuf,
    open: Option<(Connection, Option<FilePlace>)>,
}

impl SqliteTables {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None }
    }

    /// Reads in one transaction; after a failure the next reading opens the file again.
    fn read<R>(
        &mut self,
        partition: u16,
        query: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Vec<R>>,
    ) -> Result<Rows<R>, StoreError> {
        let place = place_of(&self.path);
        let kept = self.open.take().filter(|(_, opened)| *opened == place);
        let (connection, place) = match kept {
            Some(kept) => kept,
            None => (connect(&self.path).map_err(unavailable)?, place),
        };
        let rows = read(&connection, partition, query).map_err(unavailable)?;
        self.open = Some((connection, place));
        Ok(rows)
    }
}

impl Tables for SqliteTables {
    fn orders(&mut self, partition: u16, query: &OrderQuery) -> Result<Rows<String>, StoreError> {
        let OrdersSql { sql, before, limit, words } = OrdersSql::of(query);
        let mut params: Vec<&dyn ToSql> = vec![&partition, &before, &limit];
        params.extend(words.iter().map(|word| word as &dyn ToSql));
        self.read(partition, |transaction| {
            let mut orders = transaction.prepare_cached(&numbered(sql))?;
            orders.query_map(&*params, |row| row.get(0))?.collect()
        })
    }

    fn history(
        &mut self,
        partition: u16,
        query: &HistoryQuery,
    ) -> Result<Rows<RawMovement>, StoreError> {
        let (before, limit) = history_bounds(query);
        self.read(partition, |transaction| {
            let mut history = transaction.prepare_cached(&numbered(HISTORY))?;
            history.query_map((query.product_id.as_str(), before, limit), movement)?.collect()
        })
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = sqlite_room::open(path, flags)?;
    connection.busy_timeout(READ_LIMIT)?;
    Ok(connection)
}

#[expect(clippy::disallowed_methods, reason = "limits how long a reading takes, decides nothing")]
fn read<R>(
    connection: &Connection,
    partition: u16,
    query: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Vec<R>>,
) -> rusqlite::Result<Rows<R>> {
    let begun = std::time::Instant::now();
    connection.progress_handler(STEPS, Some(move || begun.elapsed() > READ_LIMIT))?;
    let transaction = connection.unchecked_transaction()?;
    let mut progress = transaction.prepare_cached(READ_PROGRESS)?;
    let progress = progress.query_map([partition], progress_columns)?.last().transpose()?;
    let rows = query(&transaction)?;
    Ok(Rows { progress: progress.and_then(|row| row.try_into().ok()), rows })
}

/// A statement with its parameters as SQLite numbers them.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn movement(row: &Row<'_>) -> rusqlite::Result<RawMovement> {
    let decided_at: String = row.get(3)?;
    Ok(RawMovement {
        version: row.get(0)?,
        sequence: row.get(1)?,
        kind: row.get(2)?,
        decided_at_ms: ms_of_rfc3339(&decided_at).unwrap_or(-1),
        deltas: [row.get(4)?, row.get(5)?, row.get(6)?],
        figures: [row.get(7)?, row.get(8)?, row.get(9)?],
        reason: row.get(10)?,
        text: row.get(11)?,
        terms: row.get(12)?,
        order_id: row.get(13)?,
        hold_id: row.get(14)?,
        reference: row.get(15)?,
        principal: row.get(16)?,
    })
}
