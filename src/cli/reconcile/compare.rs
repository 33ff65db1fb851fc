//! The log against its copy: of one moment of the database, up to where its progress says it is.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::report::{Difference, Kind, Report};
use super::walk::{Rows, Walk};
use crate::cli::SQLITE_FILE;
use crate::cli::advice::quoted;
use crate::cli::bar;
use crate::cli::exit::{Exit, failure};
use crate::cli::hex;
use crate::cli::log::look_at;
use crate::cli::play::number::{counted, grouped};
use crate::cli::play::stopwatch::Stopwatch;
use crate::cli::replayed::{check_whole, decisions};
use crate::cli::target;
use crate::domain::Sequence;
use crate::journal::JournalFiles;
use crate::projection::{LedgerError, Moment, Progress, SortedBy, StoreConfig, check_copy};

/// How long it is looked for a record that the copy has, and the log had not at the first look.
const LOOK_LIMIT: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What was compared.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    journal_id: String,
    database: String,
    /// Last record that the log proves to be durable.
    log_sequence: u64,
    log_position: String,
    /// Last record that the database has; the log was compared up to it.
    database_sequence: u64,
    database_position: String,
    /// Durable records that the database does not have yet: no difference.
    not_projected: u64,
    /// Records in quarantine.
    quarantined: u64,
    /// Rows that the log says there are.
    rows: Rows,
}

/// Compares; differences go into the report.
///
/// # Errors
/// One of the two cannot be read, or the database holds no copy of this log.
pub(crate) fn compare(
    data_dir: &Path,
    store: &StoreConfig,
    report: &mut Report,
) -> anyhow::Result<Compared> {
    compared(data_dir, store, report).map_err(|error| match error.downcast_ref::<LedgerError>() {
        Some(_) => unreadable(&error, data_dir, store),
        None => error,
    })
}

/// An error of the database, with its place and what to do next.
fn unreadable(error: &anyhow::Error, data_dir: &Path, store: &StoreConfig) -> anyhow::Error {
    let next = match store {
        StoreConfig::Sqlite { .. } => format!(": {}", another_copy(data_dir)),
        // Whether the server is away or its tables are broken, it alone can say.
        StoreConfig::Postgres { .. } => String::new(),
    };
    failure(Exit::Environment, format!("{}: {error:#}{next}", target::shown(store)))
}

/// The file the server writes may not be written beside it, so the new one is another.
fn another_copy(data_dir: &Path) -> String {
    let data_dir = quoted(data_dir);
    format!("`doorbuster project --rebuild --to new.sqlite --data-dir {data_dir}` makes a new copy")
}

fn compared(data_dir: &Path, store: &StoreConfig, report: &mut Report) -> anyhow::Result<Compared> {
    // The log first, then the copy: what the copy has is then in the log, or will be proven soon.
    let log = look_at(data_dir)?;
    let partition = log.identity().partition;
    if let StoreConfig::Sqlite { path } = store
        && !path.exists()
    {
        let message = format!(
            "there is no {}: --sqlite FILE names another, and {}",
            target::shown(store),
            another_copy(data_dir)
        );
        return Err(failure(Exit::Environment, message));
    }
    if let StoreConfig::Sqlite { path } = store
        && path.is_dir()
    {
        let file = quoted(&path.join(SQLITE_FILE));
        let message =
            format!("{} is a directory: name the file in it, such as {file}", target::shown(store));
        return Err(failure(Exit::Usage, message));
    }
    let mut moment = Moment::open(store)?;
    let unfilled = "it has no tables of doorbuster that can be read: has a server filled it?";
    let progress = moment.progress(partition).context(unfilled)?;
    let progress = progress.unwrap_or(Progress::none(log.identity()));
    let log = proven(log, data_dir, progress.sequence)?;
    let kind = match store {
        StoreConfig::Sqlite { .. } => "file",
        StoreConfig::Postgres { .. } => "schema",
    };
    check_copy(&progress, &log, &target::shown(store), kind)?;
    check_whole(&log, "compared")?;
    let upto = progress.sequence;
    report.bar = bar::over_records(upto.get(), "comparing");
    let rows = walk(&log, upto, &mut moment, report)?;
    let quarantined = quarantine(&log, &mut moment, report, partition)?;
    report.bar.finish_and_clear();
    let (places, proven) = (log.places(), log.proven());
    Ok(Compared {
        journal_id: hex(&log.identity().journal_id),
        database: target::shown(store),
        log_sequence: proven.get(),
        log_position: places.position(proven).to_string(),
        database_sequence: upto.get(),
        database_position: places.position(upto).to_string(),
        not_projected: proven.get() - upto.get(),
        quarantined,
        rows,
    })
}

/// The log up to the record `sequence` at least, which its copy has; as it is, when it is not there.
fn proven(
    mut log: JournalFiles,
    data_dir: &Path,
    sequence: Sequence,
) -> anyhow::Result<JournalFiles> {
    let since = Stopwatch::start();
    loop {
        log = log.with_copied(sequence)?;
        if log.proven() >= sequence || since.elapsed() > LOOK_LIMIT {
            return Ok(log);
        }
        std::thread::sleep(LOOK_AGAIN);
        log = look_at(data_dir)?;
    }
}

fn walk(
    log: &JournalFiles,
    upto: Sequence,
    moment: &mut Moment,
    report: &mut Report,
) -> anyhow::Result<Rows> {
    let bar = report.bar.clone();
    let mut walk = Walk::new(moment, report, log.places(), log.identity().partition)?;
    decisions(log, upto, &bar, &mut |sequence, record| walk.record(sequence, record))?;
    walk.end()
}

/// Names every record that was set aside; gives how many.
fn quarantine(
    log: &JournalFiles,
    moment: &mut Moment,
    report: &mut Report,
    partition: u16,
) -> anyhow::Result<u64> {
    let select =
        format!("SELECT sequence, kind, code, error FROM quarantine WHERE partition = {partition}");
    let mut rows = moment.sorted(select, &[SortedBy::Number("sequence", 0)]);
    let (mut count, records) = (0, log.tail(Sequence::new(1))?);
    while let Some(row) = rows.next(moment)? {
        count += 1;
        let text = |place: usize| row.get(place).cloned().flatten().unwrap_or_default();
        let sequence = text(0).parse().unwrap_or(0);
        let ours = records.read(Sequence::new(sequence))?.map(|payload| payload.kind().as_str());
        let theirs = format!("a {} set aside: {}: {}", text(1), text(2), text(3));
        report.add(&Difference {
            kind: Kind::Quarantined,
            table: "quarantine",
            id: &format!("record {sequence}"),
            column: None,
            log: ours,
            database: Some(&theirs),
        })?;
    }
    Ok(count)
}

impl Compared {
    /// Last record that the database has.
    pub(crate) fn database_sequence(&self) -> u64 {
        self.database_sequence
    }

    /// For a person.
    pub(crate) fn words(&self, differences: u64) -> String {
        let mut out = String::new();
        let Self { journal_id, database, log_sequence, database_sequence, rows, .. } = self;
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "log       {journal_id}, proven up to record {log_sequence} ({})",
            self.log_position
        );
        let _ = writeln!(
            out,
            "database  {database}, at record {database_sequence} ({})",
            self.database_position
        );
        let not_yet = match self.not_projected {
            0 => "it has every record".to_owned(),
            records => {
                format!("{} not projected yet, which is no difference", counted(records, "record"))
            }
        };
        let _ = writeln!(out, "compared  up to the database's record; {not_yet}");
        let Rows { products, orders, order_lines, holds, movements, refusal_counts } = rows;
        let figures = [
            counted(*products, "product"),
            counted(*orders, "order"),
            counted(*order_lines, "line"),
            counted(*holds, "hold"),
            counted(*movements, "movement"),
            counted(*refusal_counts, "count"),
        ];
        let _ = writeln!(
            out,
            "rows      {}; in quarantine: {}",
            figures.join(", "),
            grouped(self.quarantined)
        );
        let _ = match differences {
            0 => writeln!(out, "no difference"),
            differences => writeln!(out, "{}", counted(differences, "difference")),
        };
        out
    }
}
