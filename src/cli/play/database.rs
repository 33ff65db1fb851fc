//! The database of a play, read only: where it is, and how far it is.
//!
//! Plain statements without parameters or session state, the same on both engines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rusqlite::OpenFlags;

use super::stopwatch::Stopwatch;
use crate::cli::exit::{Exit, failure};

const POLL: Duration = Duration::from_millis(20);
/// How long the projection may stand still before it counts as stuck.
const STILL_LIMIT: Duration = Duration::from_secs(30);
/// How long a connection may take.
const REACH_LIMIT: Duration = Duration::from_secs(5);

/// Where the copy of the log is.
#[derive(Clone)]
pub(crate) enum Database {
    /// The embedded file.
    Sqlite(PathBuf),
    /// A URL, and the schema in it.
    Postgres(String, String),
}

/// What a statement gives, all of it text.
pub(super) type Row<const N: usize> = [Option<String>; N];

impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            // The URL may hold a password.
            Self::Postgres(_, schema) => write!(f, "PostgreSQL, schema {schema}"),
        }
    }
}

impl Database {
    /// The embedded database of a data directory.
    pub(crate) fn embedded(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join(crate::cli::SQLITE_FILE))
    }

    /// That it can be asked, before anything is played: a database that is away would be found out
    /// only after the whole play.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn reached(&self) -> anyhow::Result<()> {
        if let Self::Sqlite(_) = self {
            return Ok(());
        }
        let asked = tokio::time::timeout(REACH_LIMIT, self.rows::<1>("SELECT ''"));
        let found = asked.await.unwrap_or_else(|_| {
            Err(anyhow::anyhow!("{self} does not answer within {} s", REACH_LIMIT.as_secs()))
        });
        found.map(|_| ()).map_err(|error| away(&error))
    }

    /// That the database of a running server has that server's tables.
    ///
    /// # Errors
    /// It does not answer, or has none.
    pub(crate) async fn in_use(&self) -> anyhow::Result<()> {
        self.reached().await?;
        // A projection that has not made its tables yet is one that stands still: it runs only where
        // no sale wants the processor.
        let since = Stopwatch::start();
        while let Err(error) = self.progress().await {
            if since.elapsed() > STILL_LIMIT {
                return Err(away(&error));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Whether there is one to be asked; PostgreSQL tells only when it is.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Self::Sqlite(path) => path.is_file(),
            Self::Postgres(..) => true,
        }
    }

    /// Whose log it copies and how far it is; `None`: not a record of any yet.
    async fn progress(&self) -> anyhow::Result<Option<(String, u64)>> {
        let statement =
            format!("SELECT journal_id, CAST(sequence AS TEXT) FROM {}progress", self.prefix());
        let rows = self.rows::<2>(&statement).await?;
        let [journal_id, sequence] = rows.into_iter().next().unwrap_or([None, None]);
        let Some((journal_id, sequence)) = journal_id.zip(sequence) else { return Ok(None) };
        Ok(Some((journal_id, sequence.parse().context("progress is no number")?)))
    }

    /// Waits until it has the record `sequence`; `moved` hears how far it is.
    /// `journal_id` is whose log it must copy, where that is known.
    ///
    /// # Errors
    /// It stands still, or copies another log.
    pub(crate) async fn caught_up(
        &self,
        journal_id: Option<&str>,
        sequence: u64,
        moved: &dyn Fn(u64),
    ) -> anyhow::Result<()> {
        let (mut still, mut last) = (Stopwatch::start(), None);
        loop {
            // Until the projection has made its tables, asking for them fails.
            let (now, problem) = match self.progress().await {
                Ok(Some((theirs, _))) if journal_id.is_some_and(|ours| ours != theirs) => bail!(
                    "{self} copies the log {theirs}, not this one: name the server's own database, \
                     or a schema that is new"
                ),
                Ok(now) => (now.map(|(_, sequence)| sequence), String::new()),
                Err(error) => (None, format!(": {error:#}")),
            };
            if let Some(now) = now {
                moved(now);
                if now >= sequence {
                    return Ok(());
                }
            }
            if now != last {
                (still, last) = (Stopwatch::start(), now);
            }
            if still.elapsed() > STILL_LIMIT {
                let at = now.map_or("no record".to_owned(), |now| format!("record {now}"));
                bail!(
                    "{self} stands at {at} of {sequence} for {} s{problem}",
                    STILL_LIMIT.as_secs()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Removes the schema that a play of ours made; other databases are left alone.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) async fn drop_schema(&self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_, schema) => {
                let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
                self.rows::<0>(&drop).await.map(|_| ())
            }
        }
    }

    /// What stands before the name of a table.
    pub(super) fn prefix(&self) -> String {
        match self {
            Self::Sqlite(_) => String::new(),
            Self::Postgres(_, schema) => format!("{schema}."),
        }
    }

    /// The rows of a statement with `N` columns of text.
    pub(super) async fn rows<const N: usize>(
        &self,
        statement: &str,
    ) -> anyhow::Result<Vec<Row<N>>> {
        match self {
            Self::Sqlite(path) => sqlite_rows(path, statement),
            Self::Postgres(url, _) => postgres_rows(url, statement).await,
        }
        .with_context(|| format!("cannot read {self}"))
    }
}

/// That a URL is one of PostgreSQL; the message does not repeat it, for it may hold a password.
///
/// # Errors
/// It is not.
pub(crate) fn check_url(url: &str) -> anyhow::Result<()> {
    let named = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    if named && url.parse::<tokio_postgres::Config>().is_ok() {
        return Ok(());
    }
    let message = "--database-url must be postgres://USER:PASSWORD@HOST/DATABASE";
    Err(failure(Exit::Usage, message))
}

fn away(error: &anyhow::Error) -> anyhow::Error {
    failure(Exit::Environment, format!("{error:#}; nothing was played"))
}

fn sqlite_rows<const N: usize>(path: &Path, statement: &str) -> anyhow::Result<Vec<Row<N>>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let mut statement = connection.prepare(statement)?;
    let rows = statement.query_map((), |row| {
        let mut texts = [const { None }; N];
        for (place, text) in texts.iter_mut().enumerate() {
            *text = row.get(place)?;
        }
        Ok(texts)
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

async fn postgres_rows<const N: usize>(url: &str, statement: &str) -> anyhow::Result<Vec<Row<N>>> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let connection = tokio::task::spawn_local(connection);
    let messages = client.simple_query(statement).await;
    drop(client);
    let mut rows = Vec::new();
    for message in messages? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            let mut texts = [const { None }; N];
            for (place, text) in texts.iter_mut().enumerate() {
                *text = row.try_get(place)?.map(str::to_owned);
            }
            rows.push(texts);
        }
    }
    connection.await??;
    Ok(rows)
}
