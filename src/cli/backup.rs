//! `backup`: a copy of a live log, up to what it proves to be durable; once, or as it grows.
//!
//! What it makes is a data directory: `serve`, `restore` and whatever reads a log work on it. Takes no
//! lock on the log's directory and changes nothing there.

mod directory;
mod follow;
mod refusal;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use doorbuster_wal::{Copier, CopyError, CopyStep, CopyUpto, DirStorage, Scan, Storage, WalError};
use indicatif::ProgressBar;
use serde::Serialize;

use self::directory::BackupDir;
use self::refusal::refused;
use super::bar;
use super::exit::{Exit, failure};
use super::log::journal_dir;
use super::output::OutputArgs;
use super::play::number::{counted, grouped};
use super::{hex, wal::LogArgs};
use crate::domain::Sequence;
use crate::journal::{SnapshotError, Snapshots};

/// Niceness while copying; the system derives the weight of reads and writes from it too.
const NICENESS: i32 = 10;
/// How often a log is opened again that is archived or pruned while it is copied.
const OPENINGS: usize = 4;

/// `backup`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("where").required(true))]
pub(super) struct BackupArgs {
    /// Copy into this directory once; run again it copies what is new
    #[arg(long, value_name = "DIR", group = "where")]
    to: Option<PathBuf>,
    /// Copy into this directory as the log grows, until SIGTERM
    #[arg(long, value_name = "DIR", group = "where")]
    follow: Option<PathBuf>,
    /// With --follow: serve /metrics here
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What a backup came to.
#[derive(Serialize)]
struct BackupJson {
    journal_id: String,
    partition: u16,
    epoch: u32,
    first_sequence: u64,
    last_sequence: u64,
    new_records: u64,
    new_bytes: u64,
    new_snapshots: usize,
    segments: usize,
    /// SHA-256 of the last segment up to the last record: through the chain, of everything.
    sha256: String,
}

/// What copying did.
struct Copied {
    from: u64,
    to: u64,
    bytes: u64,
}

impl BackupArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        // The group of --to and --follow keeps clap from asking for it.
        if self.metrics_listen.is_some() && self.follow.is_none() {
            let message =
                "--metrics-listen is for --follow: a backup that is made once tells its end";
            return Err(failure(Exit::Usage, message));
        }
        // Sales first. Whether the system grants it or not, the backup is the same.
        let _ = rustix::process::nice(NICENESS);
        let log = log_dir(&self.log.data_dir)?;
        match (&self.to, &self.follow) {
            (Some(to), _) => self.once(&log, to),
            (_, Some(to)) => {
                follow::run(&self.log.data_dir, log, to, &self.output, self.metrics_listen)
            }
            _ => unreachable!("one of them is required"),
        }
    }

    fn once(&self, log: &Arc<DirStorage>, to: &Path) -> anyhow::Result<Exit> {
        self.output.prepare()?;
        let backup = BackupDir::take(to, &self.log.data_dir)?;
        let journal = backup.journal()?;
        let storage = &journal.storage;
        let explain = |error| refused(error, &self.log.data_dir, to);
        let bar = bar::over_bytes(0, "copying");
        let copied = copy(log, storage, &bar);
        bar.finish_and_clear();
        let copied = copied.map_err(explain)?;
        let new_snapshots = copy_snapshots(log, storage, copied.to)?;
        let report = check(storage, &copied, new_snapshots).map_err(|error| match error {
            CheckError::Log(error) => refused(CopyError::Copy(error), &self.log.data_dir, to),
            CheckError::Short { last } => anyhow::anyhow!(
                "{} reads to record {last} only, not to {}: its disk does not keep what it has \
                 taken; back up into another directory",
                to.display(),
                copied.to
            ),
        })?;
        self.output.write(&report, |out| show(&report, to, out))?;
        Ok(Exit::Done)
    }
}

/// The log of a data directory, as files.
fn log_dir(data_dir: &Path) -> anyhow::Result<Arc<DirStorage>> {
    let directory = journal_dir(data_dir);
    let storage = DirStorage::open_existing(&directory).with_context(|| {
        format!("no journal in {}: name the data directory with --data-dir", directory.display())
    })?;
    Ok(Arc::new(storage))
}

fn open(log: &Arc<DirStorage>, copy: &Arc<DirStorage>) -> Result<Copier, CopyError> {
    let scan = Scan::open(Arc::clone(log) as Arc<dyn Storage>).map_err(CopyError::Log)?;
    Copier::open(scan, Arc::clone(copy) as Arc<dyn Storage>, CopyUpto::Proven)
}

/// Copies what the log proves as of now.
fn copy(
    log: &Arc<DirStorage>,
    copy: &Arc<DirStorage>,
    bar: &ProgressBar,
) -> Result<Copied, CopyError> {
    let (mut from, mut bytes) = (None, 0);
    for opening in 1.. {
        let mut copier = open(log, copy)?;
        from.get_or_insert(copier.found());
        bar.set_length(bytes + copier.bytes_left());
        let result = loop {
            match copier.step() {
                Ok(CopyStep::Copied(more)) => bytes += more,
                Ok(CopyStep::UpToDate) => break Ok(copier.copied()),
                Err(error) => break Err(error),
            }
            bar.set_position(bytes);
        };
        match result {
            Ok(to) => return Ok(Copied { from: from.unwrap_or(0), to, bytes }),
            // Archived or pruned between two looks: the log is read anew.
            Err(error) if is_gone(&error) && opening < OPENINGS => {}
            Err(error) => return Err(error),
        }
    }
    unreachable!("it ends with a result")
}

fn is_gone(error: &CopyError) -> bool {
    let CopyError::Log(WalError::Io { source, .. }) = error else { return false };
    source.kind() == std::io::ErrorKind::NotFound
}

fn copy_snapshots(
    log: &Arc<DirStorage>,
    copy: &Arc<DirStorage>,
    upto: u64,
) -> Result<usize, SnapshotError> {
    let of = |storage: &Arc<DirStorage>| Snapshots::of_log(Arc::clone(storage) as Arc<dyn Storage>);
    of(log).copy_to(&of(copy), Sequence::new(upto))
}

enum CheckError {
    Log(WalError),
    Short { last: u64 },
}

/// Reads the copy whole: every frame, and the digest of each segment against the next one's header.
fn check(
    copy: &Arc<DirStorage>,
    copied: &Copied,
    new_snapshots: usize,
) -> Result<BackupJson, CheckError> {
    let scan = Scan::open(Arc::clone(copy) as Arc<dyn Storage>).map_err(CheckError::Log)?;
    let bar = bar::over_bytes(scan.bytes_total(), "checking the copy");
    let replayed = scan.replay(&mut |_| Ok(()), &mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let replayed = replayed.map_err(CheckError::Log)?;
    let (Some(identity), Some(last)) = (scan.identity(), replayed.segments.last()) else {
        return Err(CheckError::Short { last: 0 });
    };
    if replayed.last_sequence < copied.to {
        return Err(CheckError::Short { last: replayed.last_sequence });
    }
    Ok(BackupJson {
        journal_id: hex(&identity.journal_id),
        partition: identity.partition,
        epoch: identity.epoch,
        first_sequence: replayed.first_sequence,
        last_sequence: replayed.last_sequence,
        new_records: (copied.to + 1).saturating_sub(replayed.first_sequence.max(copied.from + 1)),
        new_bytes: copied.bytes,
        new_snapshots,
        segments: replayed.segments.len(),
        sha256: hex(&last.digest),
    })
}

fn show(report: &BackupJson, to: &Path, out: &mut String) {
    let BackupJson { journal_id, first_sequence, last_sequence, new_bytes, .. } = report;
    out.push_str(&format!(
        "{} has records {} to {} of journal {journal_id}: {} and {} of log are new{}\n",
        to.display(),
        grouped(*first_sequence),
        grouped(*last_sequence),
        counted(report.new_records, "record"),
        counted(*new_bytes, "byte"),
        match report.new_snapshots {
            0 => String::new(),
            new => format!(", and {}", counted(new as u64, "snapshot")),
        },
    ));
    out.push_str(&format!(
        "checked: every frame of {}, and each digest\nsha256 up to record {last_sequence}: {}\n",
        counted(report.segments as u64, "segment"),
        report.sha256
    ));
}
