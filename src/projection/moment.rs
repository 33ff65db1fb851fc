//! All tables as of one moment, row after row and as text: for comparing them with the log.
//!
//! One read-only transaction: what is written meanwhile is not seen, and nobody who writes waits
//! for it. Statements are given by the caller and are the same for both databases, but for times
//! and flags. Memory: one page of rows.
//! Called by: commands, on a thread without a runtime.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::ledger::LedgerError;
use super::options::StoreConfig;
use super::postgres::{Server, unavailable};
use super::sqlite_room;
use super::store::{Progress, ProgressColumns, StoreError};

/// Longest time of one statement.
const STATEMENT_LIMIT: Duration = Duration::from_secs(3_600);

/// Rows of one page.
const PAGE_ROWS: usize = 1_000;

/// Columns of a row as text.
pub type TextRow = Vec<Option<String>>;

/// The tables as of one moment.
pub struct Moment {
    tables: Tables,
    cursors: usize,
}

enum Tables {
    Sqlite(Connection),
    Postgres { runtime: Runtime, client: Client },
}

/// A key column: its name, and its place among the columns that are selected.
#[derive(Debug, Clone, Copy)]
pub enum SortedBy {
    /// Text, by its bytes.
    Text(&'static str, usize),
    /// A number.
    Number(&'static str, usize),
}

/// The rows of a table in the order of its key.
pub struct Sorted {
    select: String,
    by: &'static [SortedBy],
    /// PostgreSQL's cursor, once it is open.
    cursor: Option<String>,
    page: std::vec::IntoIter<TextRow>,
    last: Option<TextRow>,
    ended: bool,
}

/// What stands where tables are to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Nothing,
    /// Tables of doorbuster, with how far they are of each partition.
    Tables(Vec<Progress>),
    /// Tables of something else: one of them.
    Foreign(String),
}

fn failed(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Database(error.to_string())
}

impl Moment {
    /// Opens the tables as they are now.
    ///
    /// # Errors
    /// The database is away.
    pub fn open(config: &StoreConfig) -> Result<Self, LedgerError> {
        let tables = match config {
            StoreConfig::Sqlite { path } => Tables::Sqlite(open_sqlite(path).map_err(failed)?),
            StoreConfig::Postgres { url, schema } => {
                let runtime = Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(LedgerError::System)?;
                let server = Server::new(url, schema, STATEMENT_LIMIT);
                let client = runtime.block_on(open_postgres(&server)).map_err(failed)?;
                Tables::Postgres { runtime, client }
            }
        };
        Ok(Self { tables, cursors: 0 })
    }

    /// What stands in a place before tables are written there; nothing is made.
    ///
    /// # Errors
    /// The database is away, or the file is none.
    pub fn standing(config: &StoreConfig) -> Result<Standing, LedgerError> {
        let names = match config {
            StoreConfig::Sqlite { path } => {
                if std::fs::metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
                {
                    return Ok(Standing::Nothing);
                }
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name".to_owned()
            }
            StoreConfig::Postgres { schema, .. } => format!(
                "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
                 ON n.oid = c.relnamespace WHERE n.nspname = '{}' AND c.relkind IN ('r', 'p', 'v') \
                 ORDER BY c.relname",
                schema.as_str()
            ),
        };
        let mut moment = Self::open(config)?;
        let names: Vec<String> = moment.rows(&names)?.into_iter().flatten().flatten().collect();
        let has = |name: &str| names.iter().any(|found| found == name);
        match names.first() {
            None => Ok(Standing::Nothing),
            Some(_) if has("progress") && has(super::migrations::HISTORY) => {
                let of = moment.rows("SELECT CAST(partition AS TEXT) FROM progress")?;
                let of = of.into_iter().flatten().flatten();
                let mut progress = Vec::new();
                for partition in of.filter_map(|text| text.parse().ok()).collect::<Vec<u16>>() {
                    progress.extend(moment.progress(partition)?);
                }
                Ok(Standing::Tables(progress))
            }
            Some(name) => Ok(Standing::Foreign(name.clone())),
        }
    }

    /// How far the tables are; `None`: nothing of this partition was ever written.
    ///
    /// # Errors
    /// The database cannot be read, or has no such tables.
    pub fn progress(&mut self, partition: u16) -> Result<Option<Progress>, LedgerError> {
        let rows = self.rows(&format!(
            "SELECT journal_id, partition, epoch, sequence, checksum FROM progress \
             WHERE partition = {partition}"
        ))?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let text = |place: usize| row.get(place).cloned().flatten().unwrap_or_default();
        let number = |place: usize| text(place).parse::<i64>().unwrap_or(-1);
        let (journal_id, partition) = (text(0), number(1));
        let (epoch, sequence, checksum) = (number(2), number(3), number(4));
        let columns = ProgressColumns { journal_id, partition, epoch, sequence, checksum };
        let progress: Result<Progress, StoreError> = columns.try_into();
        progress.map(Some).map_err(failed)
    }

    /// The rows of a statement.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn rows(&mut self, statement: &str) -> Result<Vec<TextRow>, LedgerError> {
        match &self.tables {
            Tables::Sqlite(connection) => sqlite_rows(connection, statement).map_err(failed),
            Tables::Postgres { runtime, client } => runtime
                .block_on(postgres_rows(client, statement))
                .map_err(|error| failed(unavailable(error))),
        }
    }

    /// The rows of `select`, which has no `ORDER BY`, in the order of its key.
    #[must_use]
    pub fn sorted(&self, select: String, by: &'static [SortedBy]) -> Sorted {
        let page = Vec::new().into_iter();
        Sorted { select, by, cursor: None, page, last: None, ended: false }
    }

    /// An expression for a time as RFC 3339 with milliseconds.
    #[must_use]
    pub fn time(&self, column: &str) -> String {
        match self.tables {
            Tables::Sqlite(_) => column.to_owned(),
            Tables::Postgres { .. } => {
                format!(r#"to_char({column} AT TIME ZONE 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"#)
            }
        }
    }

    /// An expression for a flag as 0 or 1.
    #[must_use]
    pub fn flag(&self, column: &str) -> String {
        match self.tables {
            Tables::Sqlite(_) => column.to_owned(),
            Tables::Postgres { .. } => format!("CAST({column} AS integer)"),
        }
    }
}

impl Sorted {
    /// The next row.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn next(&mut self, moment: &mut Moment) -> Result<Option<TextRow>, LedgerError> {
        if let Some(row) = self.page.next() {
            return Ok(Some(row));
        }
        if self.ended {
            return Ok(None);
        }
        let statement = match moment.tables {
            Tables::Sqlite(_) => self.page_behind_last(),
            Tables::Postgres { .. } => self.fetch(moment)?,
        };
        let rows = moment.rows(&statement)?;
        self.ended = rows.len() < PAGE_ROWS;
        self.last = rows.last().cloned();
        self.page = rows.into_iter();
        Ok(self.page.next())
    }

    /// SQLite finds the page by the key, which is the table's own order.
    fn page_behind_last(&self) -> String {
        let names: Vec<&str> = self.by.iter().map(|by| by.name()).collect();
        let names = names.join(", ");
        let behind = self.last.as_ref().map_or(String::new(), |last| {
            let key: Vec<String> = self.by.iter().map(|by| by.literal(last)).collect();
            let word = if self.select.contains(" WHERE ") { "AND" } else { "WHERE" };
            format!(" {word} ({names}) > ({})", key.join(", "))
        });
        format!("{}{behind} ORDER BY {names} LIMIT {PAGE_ROWS}", self.select)
    }

    /// PostgreSQL may sort text by another order than its bytes, so it sorts once, for a cursor.
    fn fetch(&mut self, moment: &mut Moment) -> Result<String, LedgerError> {
        if self.cursor.is_none() {
            moment.cursors += 1;
            let cursor = format!("sorted_{}", moment.cursors);
            let by: Vec<String> = self.by.iter().map(|by| by.by_bytes()).collect();
            let (select, by) = (&self.select, by.join(", "));
            let declare = format!("DECLARE {cursor} NO SCROLL CURSOR FOR {select} ORDER BY {by}");
            moment.rows(&declare)?;
            self.cursor = Some(cursor);
        }
        let cursor = self.cursor.as_deref().unwrap_or_default();
        Ok(format!("FETCH {PAGE_ROWS} FROM {cursor}"))
    }
}

impl SortedBy {
    fn name(&self) -> &'static str {
        match self {
            Self::Text(name, _) | Self::Number(name, _) => name,
        }
    }

    /// How two rows are ordered by it; a number that is none comes first.
    #[must_use]
    pub fn compare(&self, left: &TextRow, right: &TextRow) -> std::cmp::Ordering {
        let text = |row: &TextRow, place: usize| row.get(place).cloned().flatten();
        match *self {
            Self::Text(_, place) => text(left, place).cmp(&text(right, place)),
            Self::Number(_, place) => {
                let number = |row| text(row, place).and_then(|text| text.parse::<i128>().ok());
                number(left).cmp(&number(right))
            }
        }
    }

    fn by_bytes(&self) -> String {
        match self {
            Self::Text(name, _) => format!("{name} COLLATE \"C\""),
            Self::Number(name, _) => (*name).to_owned(),
        }
    }

    fn literal(&self, row: &TextRow) -> String {
        match self {
            Self::Text(_, place) => {
                quoted(row.get(*place).and_then(Option::as_deref).unwrap_or_default())
            }
            Self::Number(_, place) => {
                row.get(*place).cloned().flatten().unwrap_or_else(|| "0".to_owned())
            }
        }
    }
}

/// A text as a literal of SQL.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn open_sqlite(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = sqlite_room::open(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.execute_batch("BEGIN")?;
    // The moment is that of the first reading.
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    Ok(connection)
}

fn sqlite_rows(connection: &Connection, statement: &str) -> rusqlite::Result<Vec<TextRow>> {
    let mut statement = connection.prepare(statement)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let text = |place| {
            Ok(match row.get_ref(place)? {
                ValueRef::Null => None,
                ValueRef::Integer(number) => Some(number.to_string()),
                ValueRef::Real(number) => Some(number.to_string()),
                ValueRef::Text(text) | ValueRef::Blob(text) => {
                    Some(String::from_utf8_lossy(text).into_owned())
                }
            })
        };
        (0..columns).map(text).collect()
    })?;
    rows.collect()
}

async fn open_postgres(server: &Server) -> Result<Client, StoreError> {
    let client = server.connect().await?;
    server.begin_reading(&client).await.map_err(unavailable)?;
    // Between two pages the log is read, which takes what it takes; pages are found by their keys.
    let settings =
        "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL enable_seqscan = off";
    client.batch_execute(settings).await.map_err(unavailable)?;
    Ok(client)
}

async fn postgres_rows(
    client: &Client,
    statement: &str,
) -> Result<Vec<TextRow>, tokio_postgres::Error> {
    let mut rows = Vec::new();
    for message in client.simple_query(statement).await? {
        if let SimpleQueryMessage::Row(row) = message {
            let text = |place| Ok(row.try_get(place)?.map(str::to_owned));
            rows.push((0..row.len()).map(text).collect::<Result<_, tokio_postgres::Error>>()?);
        }
    }
    Ok(rows)
}
