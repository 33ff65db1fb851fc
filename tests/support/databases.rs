//! The two databases as one: what a case needs of either.
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::atomic::{AtomicU32, Ordering};

use doorbuster::projection::{SchemaName, StoreConfig};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tempfile::TempDir;

use crate::postgres_server::Server;

/// An empty database of one of the two kinds.
pub(crate) enum Database {
    /// A file.
    Sqlite(TempDir),
    /// A schema.
    Postgres(&'static Server, SchemaName),
}

impl Database {
    /// A new SQLite file.
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().expect("a temporary directory"))
    }

    /// A schema that no other test has.
    pub(crate) fn postgres(server: &'static Server) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}_{number}", std::process::id());
        Self::Postgres(server, SchemaName::new(&name).expect("a schema's name"))
    }

    /// Where it is.
    pub(crate) fn config(&self) -> StoreConfig {
        match self {
            Self::Sqlite(dir) => StoreConfig::Sqlite { path: dir.path().join("doorbuster.sqlite") },
            Self::Postgres(server, schema) => StoreConfig::Postgres {
                url: server.url(schema.as_str()).parse().expect("a URL"),
                schema: schema.clone(),
            },
        }
    }

    /// The rows of a query, columns joined by `|`, NULL as `-`.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        match self {
            Self::Sqlite(_) => sqlite_rows(&self.connection(), sql),
            Self::Postgres(server, schema) => {
                server.rows(&format!("SET search_path TO {}; {sql}", schema.as_str()))
            }
        }
    }

    /// Runs statements of either database's own: SQLite's, PostgreSQL's.
    pub(crate) fn execute(&self, sqlite: &str, postgres: &str) {
        match self {
            Self::Sqlite(_) => self.connection().execute_batch(sqlite).expect(sqlite),
            Self::Postgres(..) => drop(self.rows(postgres)),
        }
    }

    /// A number of one row.
    pub(crate) fn number(&self, sql: &str) -> u64 {
        let rows = self.rows(sql);
        rows[0].parse().unwrap_or_else(|_| panic!("{sql} gives {rows:?}"))
    }

    /// An expression for a time as RFC 3339.
    pub(crate) fn time(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => column.to_owned(),
            Self::Postgres(..) => {
                format!(r#"to_char({column} AT TIME ZONE 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"#)
            }
        }
    }

    /// An expression for a flag as 0 or 1.
    pub(crate) fn flag(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => column.to_owned(),
            Self::Postgres(..) => format!("{column}::int"),
        }
    }

    fn connection(&self) -> Connection {
        let StoreConfig::Sqlite { path } = self.config() else { panic!("it is not SQLite") };
        let connection = Connection::open(path).expect("the file opens");
        connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a limit");
        connection
    }
}

fn sqlite_rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let columns = (0..columns).map(|column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => "-".to_owned(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(bytes) => format!("{bytes:?}"),
            })
        });
        Ok(columns.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
    });
    rows.and_then(Iterator::collect).unwrap_or_else(|error| panic!("{sql}: {error}"))
}
