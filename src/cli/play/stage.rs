//! Where a play of our own takes place: data directory, database, and what is left of them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use doorbuster_wal::{DirLock, DirStorage};

use super::database::Database;
use super::server::Launch;
use super::workplace::{Workplace, random_word};
use crate::cli::exit::{Exit, failure};
use crate::cli::files;
use crate::cli::log::journal_dir;

/// What a play may be told about its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted<'a> {
    /// The command's name.
    pub(crate) word: &'a str,
    /// A data directory to use and keep, instead of a temporary one.
    pub(crate) data_dir: Option<&'a Path>,
    /// PostgreSQL, instead of the embedded database.
    pub(crate) database_url: Option<&'a str>,
    /// A schema to use and keep, instead of a temporary one.
    pub(crate) schema: Option<&'a str>,
    /// Leave everything in place.
    pub(crate) keep: bool,
}

/// The place of a play with a server of its own.
pub(crate) struct Stage {
    /// How its server is started.
    pub(crate) launch: Launch,
    /// Where its database is.
    pub(crate) database: Database,
    workplace: Workplace,
    /// Whether data directory and database outlive the play.
    kept: bool,
    temporary_schema: bool,
}

/// The file by which a play knows its own data directory again.
const MARKER: &str = "REHEARSAL";

/// Takes a data directory for a play: one that holds a shop's log is not played in, because what is
/// sold there is sold for good.
fn mark(data_dir: &Path, word: &str) -> anyhow::Result<()> {
    let marker = data_dir.join(MARKER);
    if journal_dir(data_dir).exists() && !marker.exists() {
        // In use is the first thing to say.
        DirLock::acquire(data_dir)?;
        let message = format!(
            "{} holds a log that neither demo nor rehearse made: playing there would add its sales \
             to that log for good; name a new directory",
            data_dir.display()
        );
        return Err(failure(Exit::Usage, message));
    }
    DirStorage::open(data_dir)
        .with_context(|| format!("cannot use {} as data directory", data_dir.display()))?;
    files::write(&marker, &format!("made by doorbuster {word}; no shop's log\n"))
}

impl Stage {
    /// Prepares a place; nothing is started.
    ///
    /// # Errors
    /// The data directory holds a log that no play has made; the file system's.
    pub(crate) fn new(wanted: &Wanted<'_>) -> anyhow::Result<Self> {
        let mut workplace = Workplace::new(wanted.word)?;
        let kept = wanted.keep || wanted.data_dir.is_some();
        if wanted.keep && wanted.data_dir.is_none() {
            workplace.keep();
        }
        let data_dir = match wanted.data_dir {
            Some(path) => {
                let path = std::path::absolute(path).context("cannot tell where --data-dir is")?;
                mark(&path, wanted.word)?;
                path
            }
            None => workplace.path().join("data"),
        };
        // A temporary journal in a lasting schema would leave a schema that no log fits any more.
        let temporary_schema = wanted.schema.is_none() && wanted.data_dir.is_none();
        let schema = match wanted.schema {
            Some(schema) => schema.to_owned(),
            None if temporary_schema => format!("doorbuster_{}_{}", wanted.word, random_word()?),
            None => "doorbuster".to_owned(),
        };
        let (postgres, database) = match wanted.database_url {
            None => (None, Database::embedded(&data_dir)),
            Some(url) => {
                let url = url.to_owned();
                (Some((url.clone(), schema.clone())), Database::Postgres(url, schema))
            }
        };
        let directory = workplace.path().to_owned();
        let launch = Launch { data_dir, postgres, directory };
        Ok(Self { launch, database, workplace, kept, temporary_schema: temporary_schema && !kept })
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.launch.data_dir.clone()
    }

    /// The data directory, if it outlives the play.
    pub(crate) fn kept_data_dir(&self) -> Option<&Path> {
        self.kept.then_some(&*self.launch.data_dir)
    }

    /// What its server said, if that is kept.
    pub(crate) fn kept_output(&self) -> Option<PathBuf> {
        self.workplace.is_kept().then(|| self.launch.output())
    }

    /// Where its database is, for a report that is read after the play.
    pub(crate) fn database_words(&self) -> String {
        match (&self.database, self.kept) {
            (database, true) => database.to_string(),
            (Database::Sqlite(_), false) => "SQLite in the temporary data directory".to_owned(),
            (Database::Postgres(..), false) if self.temporary_schema => {
                "PostgreSQL, a temporary schema".to_owned()
            }
            (database, false) => database.to_string(),
        }
    }

    /// Keeps everything after all: something is wrong, and somebody will want to look.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
        self.temporary_schema = false;
        self.workplace.keep();
    }

    /// Takes the place down as far as it is temporary.
    ///
    /// # Errors
    /// The schema cannot be removed.
    pub(crate) async fn clear(self) -> anyhow::Result<()> {
        if self.temporary_schema {
            self.database.drop_schema().await?;
        }
        Ok(())
    }
}
