//! `project --rebuild`: a new copy of the log in SQL, filled beside a running server by the code
//! that fills the usual one, and compared with the log afterwards.
//!
//! Reads the log from its files and changes nothing but the new copy. Whatever interrupts it, run
//! again it goes on from the copy's own progress.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use doorbuster_wal::{DirStorage, Storage};
use indicatif::ProgressBar;

use super::advice::{quoted, reading};
use super::bar;
use super::exit::{Exit, failure};
use super::output::OutputArgs;
use super::play::stopwatch::Stopwatch;
use super::reconcile::{Report, compare};
use super::replayed::whole_log;
use super::settings::SettingsArgs;
use super::{copy, target};
use crate::config::Config;
use crate::domain::Sequence;
use crate::engine::ports::ProjectionProblem;
use crate::journal::JournalFiles;
use crate::projection::{
    DiskRoom, LedgerError, Moment, ProjectorOptions, SchemaName, Standing, StoreConfig,
    TargetError, check_copy, start_copy,
};

/// How often it is looked how far it is.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long the database may be away before it is given up for now.
const AWAY_LIMIT: Duration = Duration::from_secs(30);
/// A round that had fewer records is the last: the server itself does the rest.
const ROUND_RECORDS_FEW: u64 = 10_000;
const ROUNDS_MAX: usize = 10;

/// `project`
#[derive(Debug, Args)]
pub(super) struct ProjectArgs {
    /// Fill a new copy from the log's first record on
    #[arg(long, required = true)]
    rebuild: bool,
    /// Where: a PostgreSQL URL, or a new SQLite file
    #[arg(long, value_name = "URL|FILE")]
    to: String,
    /// Schema of PostgreSQL [default: the one of the settings]
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// Data directory [default: ./data, or what the settings of the server say]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Settings file of the server [environment: DOORBUSTER_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl ProjectArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        assert!(self.rebuild, "the command line asks for it");
        let flags = self.data_dir.iter().map(|dir| ("data_dir".to_owned(), dir.clone()));
        let config = SettingsArgs::of(flags.collect(), self.config.clone()).config()?;
        self.output.prepare()?;
        reading(&config.data_dir, || self.rebuild(&config))
    }

    fn rebuild(&self, config: &Config) -> anyhow::Result<Exit> {
        let store = self.store(config)?;
        if let StoreConfig::Sqlite { path } = &store
            && (path.as_os_str().is_empty() || path.is_dir())
        {
            let message = format!("--to {path:?} is no file: name a new file, or a PostgreSQL URL");
            return Err(failure(Exit::Usage, message));
        }
        check_not_in_use(config, &store)?;
        let copied = check_target(&store, &config.data_dir)?;
        let mut log = whole_log(&config.data_dir, "rebuilt")?.with_copied(copied)?;
        for _ in 0..ROUNDS_MAX {
            let upto = log.proven();
            let written = fill(&store, log, upto, config)?;
            log = whole_log(&config.data_dir, "rebuilt")?;
            let new = log.proven().get().saturating_sub(upto.get());
            if written < ROUND_RECORDS_FEW || new < ROUND_RECORDS_FEW {
                break;
            }
        }
        let mut report = Report::new(&self.output)?;
        let compared = compare(&config.data_dir, &store, &mut report)?;
        let next = next_step(config, &store, compared.database_sequence());
        let words = |differences| match differences {
            0 => format!("{}{next}", compared.words(differences)),
            _ => compared.words(differences),
        };
        let differences = report.end(&compared, words)?;
        Ok(if differences == 0 { Exit::Done } else { Exit::CheckFailed })
    }

    fn store(&self, config: &Config) -> anyhow::Result<StoreConfig> {
        let usage = |error: TargetError| failure(Exit::Usage, error.to_string());
        if ["postgres://", "postgresql://"].iter().any(|scheme| self.to.starts_with(scheme)) {
            let schema = self.schema.as_deref().unwrap_or(&config.database_schema);
            let schema = SchemaName::new(schema).map_err(usage)?;
            return Ok(StoreConfig::Postgres { url: self.to.parse().map_err(usage)?, schema });
        }
        if self.schema.is_some() {
            let message = "--schema is for PostgreSQL: a SQLite file has none";
            return Err(failure(Exit::Usage, message));
        }
        Ok(StoreConfig::Sqlite { path: PathBuf::from(&self.to) })
    }
}

/// That the new copy is not the one in use.
fn check_not_in_use(config: &Config, new: &StoreConfig) -> anyhow::Result<()> {
    let same = match (copy::of(config)?, new) {
        (StoreConfig::Sqlite { path: used }, StoreConfig::Sqlite { path }) => {
            // One file may have several names.
            let file = |path: &Path| path.metadata().map(|it| (it.dev(), it.ino())).ok();
            used == *path || file(&used).is_some_and(|used| file(path) == Some(used))
        }
        (
            StoreConfig::Postgres { url: used, schema: used_schema },
            StoreConfig::Postgres { url, schema },
        ) => used.to_string() == url.to_string() && used_schema == *schema,
        _ => false,
    };
    if same {
        let (shown, other) = (target::shown(new), other_kind(new));
        let message = format!("{shown} is the copy that the server writes: name another {other}");
        return Err(failure(Exit::Usage, message));
    }
    Ok(())
}

fn other_kind(store: &StoreConfig) -> &'static str {
    match store {
        StoreConfig::Sqlite { .. } => "file",
        StoreConfig::Postgres { .. } => "schema with --schema",
    }
}

/// That nothing stands there, or a copy of this log that can go on: from which record.
fn check_target(store: &StoreConfig, data_dir: &Path) -> anyhow::Result<Sequence> {
    let (shown, other) = (target::shown(store), other_kind(store));
    let unusable = |error: LedgerError| {
        let message =
            format!("{shown}: {error}: see to it that it can be opened, or name another {other}");
        failure(Exit::Environment, message)
    };
    match Moment::standing(store).map_err(unusable)? {
        Standing::Nothing => Ok(Sequence::new(0)),
        Standing::Foreign(table) => {
            let message = format!(
                "{shown} holds the table {table}, which is not doorbuster's: name another {other}"
            );
            Err(failure(Exit::Usage, message))
        }
        Standing::Tables(progress) => {
            for progress in &progress {
                let log = whole_log(data_dir, "rebuilt")?.with_copied(progress.sequence)?;
                check_copy(progress, &log, &shown, other)?;
            }
            let last = progress.iter().map(|progress| progress.sequence).max();
            Ok(last.unwrap_or(Sequence::new(0)))
        }
    }
}

/// Copies up to a record; gives how many records were written.
fn fill(
    store: &StoreConfig,
    log: JournalFiles,
    upto: Sequence,
    config: &Config,
) -> anyhow::Result<u64> {
    let bar = bar::over_records(upto.get(), "projecting");
    let options = ProjectorOptions::new(Arc::new(|| 0), Arc::new(room(store, config)?));
    let projection = start_copy(store, Arc::new(log), options)?;
    let status = projection.status();
    let (mut first, mut last, mut since) = (None, None, Stopwatch::start());
    loop {
        let report = status.report();
        if let Some(applied) = report.applied {
            first.get_or_insert(applied.get());
            bar.set_position(applied.get());
            if applied >= upto {
                break;
            }
        }
        if report.applied != last {
            (since, last) = (Stopwatch::start(), report.applied);
        }
        give_up_on(report.problem, &since, &bar)?;
        std::thread::sleep(LOOK_AGAIN);
    }
    projection.stop();
    bar.finish_and_clear();
    Ok(upto.get().saturating_sub(first.unwrap_or(0)))
}

fn give_up_on(
    problem: Option<ProjectionProblem>,
    since: &Stopwatch,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    match problem {
        Some(ProjectionProblem::Stopped(why)) => Err(failure(Exit::Environment, why)),
        Some(ProjectionProblem::Retrying(why)) if since.elapsed() > AWAY_LIMIT => {
            let message = format!("{why}: run it again when that is over, it goes on from there");
            Err(failure(Exit::Environment, message))
        }
        Some(ProjectionProblem::Retrying(why)) => {
            bar.set_message(why);
            Ok(())
        }
        None => Ok(()),
    }
}

/// Asks for room where a file is filled: the reserve is kept for the log there too.
fn room(
    store: &StoreConfig,
    config: &Config,
) -> anyhow::Result<impl Fn() -> DiskRoom + Send + Sync + use<>> {
    let directory = match store {
        StoreConfig::Sqlite { path } => path.parent().filter(|dir| !dir.as_os_str().is_empty()),
        StoreConfig::Postgres { .. } => None,
    };
    let directory = directory.unwrap_or(Path::new("."));
    let context = || format!("no directory {} to make the file in", directory.display());
    let storage = DirStorage::open_existing(directory).with_context(context)?;
    let reserve_bytes = config.disk_reserve_bytes;
    Ok(move || DiskRoom { free_bytes: storage.free_bytes().unwrap_or(u64::MAX), reserve_bytes })
}

/// What a person does to use the new copy.
fn next_step(config: &Config, store: &StoreConfig, sequence: u64) -> String {
    match store {
        StoreConfig::Postgres { url, schema } => format!(
            "\nto use it: stop the server, and start it with this database\n  \
             doorbuster serve --database-url {} --database-schema {}\n\
             (with the password, if it has one); it goes on from record {sequence}\n",
            quoted(Path::new(&url.to_string())),
            schema.as_str()
        ),
        StoreConfig::Sqlite { path } => {
            let used = config.data_dir.join(super::SQLITE_FILE);
            let (used, path) = (quoted(&used), quoted(path));
            format!(
                "\nto use it: stop the server, put the old file away with what lies beside it, and \
                 the new one in its place\n  \
                 for end in '' -wal -shm; do [ ! -e {used}$end ] || mv {used}$end {used}.old$end; done\n  \
                 for end in '' -wal -shm; do [ ! -e {path}$end ] || mv {path}$end {used}$end; done\n\
                 then start the server: it goes on from record {sequence}\n"
            )
        }
    }
}
