//! Tables brought up to date: refinery's plan, run inside a transaction that the store holds.
//!
//! refinery begins and commits a transaction for each migration; here all of them, its own
//! history table included, belong to one: the lock that keeps two processes apart lives exactly
//! as long, and a failure leaves nothing behind.

use refinery_core::traits::r#async::{AsyncQuery, AsyncTransaction};
use refinery_core::traits::sync::{Query, Transaction};
use refinery_core::{AsyncMigrate, Migrate, Migration, Runner};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// refinery's own table; it lies beside the others.
pub(super) const HISTORY: &str = "refinery_schema_history";

/// Migrations of SQLite, in order. Add, never change: their checksums stand in databases.
pub(super) const SQLITE: &[(&str, &str)] =
    &[("V1__tables", include_str!("../../schema/sqlite/V1__tables.sql"))];

/// Migrations of PostgreSQL, in order.
pub(super) const POSTGRES: &[(&str, &str)] =
    &[("V1__tables", include_str!("../../schema/postgres/V1__tables.sql"))];

/// Why the history of migrations cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum HistoryError<E> {
    #[error("{0}")]
    Database(E),
    #[error("row {0} of {HISTORY} was not written by a migration")]
    Row(i32),
}

/// The open transaction of a SQLite connection.
pub(super) struct InSqlite<'a>(pub(super) &'a rusqlite::Connection);

/// The open transaction of a PostgreSQL connection.
pub(super) struct InPostgres<'a> {
    pub(super) client: &'a tokio_postgres::Client,
    /// The history table is there: who only writes rows need not be allowed to make tables.
    pub(super) has_history: bool,
}

/// What applies the migrations that a database lacks.
///
/// # Errors
/// A name among ours that is none: our mistake, found by the first test.
pub(super) fn runner(migrations: &[(&str, &str)]) -> Result<Runner, refinery_core::Error> {
    let migrations: Result<Vec<_>, _> =
        migrations.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let mut runner = Runner::new(&migrations?);
    runner.set_migration_table_name(HISTORY);
    Ok(runner)
}

fn applied<E>(
    version: i32,
    name: String,
    on: &str,
    checksum: &str,
) -> Result<Migration, HistoryError<E>> {
    let on = OffsetDateTime::parse(on, &Rfc3339).map_err(|_| HistoryError::Row(version))?;
    let checksum = checksum.parse().map_err(|_| HistoryError::Row(version))?;
    Ok(Migration::applied(version, name, on, checksum))
}

impl Transaction for InSqlite<'_> {
    type Error = HistoryError<rusqlite::Error>;

    fn execute<'a, T: Iterator<Item = &'a str>>(
        &mut self,
        queries: T,
    ) -> Result<usize, Self::Error> {
        let mut count = 0;
        for query in queries {
            self.0.execute_batch(query).map_err(HistoryError::Database)?;
            count += 1;
        }
        Ok(count)
    }
}

impl Query<Vec<Migration>> for InSqlite<'_> {
    fn query(&mut self, query: &str) -> Result<Vec<Migration>, Self::Error> {
        let mut statement = self.0.prepare(query).map_err(HistoryError::Database)?;
        let mut rows = statement.query([]).map_err(HistoryError::Database)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(HistoryError::Database)? {
            let columns = || -> rusqlite::Result<(i32, String, String, String)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            };
            let (version, name, on, checksum) = columns().map_err(HistoryError::Database)?;
            found.push(applied(version, name, &on, &checksum)?);
        }
        Ok(found)
    }
}

impl Migrate for InSqlite<'_> {}

impl AsyncTransaction for InPostgres<'_> {
    type Error = HistoryError<tokio_postgres::Error>;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &mut self,
        queries: T,
    ) -> Result<usize, Self::Error> {
        let mut count = 0;
        let make_history = Self::assert_migrations_table_query(HISTORY);
        for query in queries {
            if !self.has_history || query != make_history {
                self.client.batch_execute(query).await.map_err(HistoryError::Database)?;
            }
            count += 1;
        }
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for InPostgres<'_> {
    async fn query(&mut self, query: &str) -> Result<Vec<Migration>, Self::Error> {
        let rows = self.client.query_typed(query, &[]).await.map_err(HistoryError::Database)?;
        let mut found = Vec::new();
        for row in rows {
            let columns = || -> Result<(i32, String, String, String), tokio_postgres::Error> {
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
            };
            let (version, name, on, checksum) = columns().map_err(HistoryError::Database)?;
            found.push(applied(version, name, &on, &checksum)?);
        }
        Ok(found)
    }
}

impl AsyncMigrate for InPostgres<'_> {}
