//! Reading the projection: SQLite's file or a PostgreSQL, each by one statement at a time.
//!
//! Every value is asked for as text, so that both give the same rows to compare. Changes nothing:
//! SQLite is opened read-only, PostgreSQL's session is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rusqlite::OpenFlags;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// How long SQLite may be busy.
const BUSY: Duration = Duration::from_secs(20);
/// PostgreSQL's schema of the projection.
const SCHEMA: &str = "doorbuster";

/// Where a projection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A server's URL.
    Postgres(String),
}

/// A row, each value as text.
pub type Row = Vec<Option<String>>;

/// An open database.
pub enum Reader {
    /// A file.
    Sqlite(rusqlite::Connection),
    /// A session.
    Postgres(tokio_postgres::Client),
}

impl Database {
    /// The one that a server uses, by its data directory and the URL it was given.
    #[must_use]
    pub fn of(data_dir: &Path, url: Option<&str>) -> Self {
        match url {
            Some(url) => Self::Postgres(url.to_owned()),
            None => Self::Sqlite(data_dir.join("doorbuster.sqlite")),
        }
    }

    /// Opens it. Call it in a `LocalSet`, where a session of PostgreSQL's goes on.
    ///
    /// # Errors
    /// It is not there, or not reachable.
    pub async fn open(&self) -> anyhow::Result<Reader> {
        match self {
            Self::Sqlite(path) => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = rusqlite::Connection::open_with_flags(path, flags)
                    .with_context(|| format!("cannot open {}", path.display()))?;
                connection.busy_timeout(BUSY)?;
                Ok(Reader::Sqlite(connection))
            }
            Self::Postgres(url) => {
                let connected = tokio_postgres::connect(url, NoTls).await;
                let (client, connection) = connected.context("cannot reach PostgreSQL")?;
                // An error of the session is the next statement's.
                tokio::task::spawn_local(async { drop(connection.await) });
                let session =
                    format!("SET search_path = {SCHEMA}; SET default_transaction_read_only = on");
                client.batch_execute(&session).await.context("cannot set up the session")?;
                Ok(Reader::Postgres(client))
            }
        }
    }
}

impl Reader {
    /// Reads a column of a time, in Unix milliseconds.
    #[must_use]
    pub fn ms(&self, column: &str) -> String {
        let number = match self {
            Self::Sqlite(_) => format!("round(unixepoch({column}, 'subsec') * 1000) AS integer"),
            Self::Postgres(_) => format!("round(extract(epoch FROM {column}) * 1000) AS bigint"),
        };
        format!("CAST(CAST({number}) AS text)")
    }

    /// The rows of a statement whose columns are all text.
    ///
    /// # Errors
    /// The database's.
    pub async fn rows(&self, sql: &str) -> anyhow::Result<Vec<Row>> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare(sql).context("cannot ask SQLite")?;
                let columns = statement.column_count();
                let rows = statement.query_map([], |row| {
                    (0..columns).map(|column| row.get::<_, Option<String>>(column)).collect()
                })?;
                rows.collect::<Result<Vec<Row>, _>>().context("cannot read SQLite's answer")
            }
            Self::Postgres(client) => {
                let answer = client.simple_query(sql).await.context("cannot ask PostgreSQL")?;
                let row = |message: &SimpleQueryMessage| match message {
                    SimpleQueryMessage::Row(row) => Some(
                        (0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect(),
                    ),
                    _ => None,
                };
                Ok(answer.iter().filter_map(row).collect())
            }
        }
    }

    /// The one number that a statement gives.
    ///
    /// # Errors
    /// The database's, or it gives none.
    pub async fn number(&self, sql: &str) -> anyhow::Result<u64> {
        let rows = self.rows(sql).await?;
        let value = rows.first().and_then(|row| row.first()).and_then(Option::as_deref);
        value.and_then(|text| text.parse().ok()).with_context(|| format!("no number: {sql}"))
    }
}
