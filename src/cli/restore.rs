//! `restore`: a data directory made of a backup, whole or up to a record or a time.
//!
//! ```text
//! NEW.restoring: copy ─► cut ─► read whole, make its state ─► new epoch, start record ─► rename: NEW
//! ```
//!
//! The backup is only read. Whatever interrupts it, there is no directory that looks restored and is
//! not. The log gets a new epoch, so that a database which is ahead of it is recognised, and no id is
//! given out twice.

mod place;
mod until;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use doorbuster_wal::{
    Copier, CopyError, CopyStep, CopyUpto, DirLock, DirStorage, LockError, Options, Scan, Storage,
};
use serde::Serialize;

use self::place::NewDir;
use self::until::Until;
use super::advice::quoted;
use super::bar;
use super::data_dir::lie_in_each_other;
use super::exit::{Exit, exit_of, exit_of_log, failure};
use super::hex;
use super::log::journal_dir;
use super::output::OutputArgs;
use super::play::number::{counted, grouped};
use crate::domain::Sequence;
use crate::engine::{PartitionClock, Recovered, StartError, SystemClock, read_whole};
use crate::journal::{
    JournalIdentity, Opening, PAYLOAD_BYTES_MAX, Payload, Snapshots, Started, restored_epoch,
};

/// `restore`
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup; any data directory that nobody writes
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The data directory to make; it must not be there, or be empty
    #[arg(long, value_name = "NEW")]
    data_dir: PathBuf,
    /// Leave out what came after this record, or after this time, such as 2026-11-27T08:00:00Z
    #[arg(long, value_name = "SEQUENCE|TIME")]
    until: Option<Until>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What a restore came to.
#[derive(Serialize)]
struct RestoreJson {
    data_dir: String,
    journal_id: String,
    partition: u16,
    epoch: u32,
    first_sequence: u64,
    /// Last record taken over.
    last_sequence: u64,
    /// When it was decided, or the last one before it that was.
    last_at: Option<String>,
    /// The restore's own record.
    start_sequence: u64,
    left_out_records: u64,
    products: usize,
    stock: u64,
    held: u64,
    sold: u64,
    idempotency_keys: usize,
}

/// The backup, as far as it is taken.
struct Source {
    log: Arc<DirStorage>,
    identity: JournalIdentity,
    segment_bytes: u64,
    last: u64,
    cut: u64,
    /// Nobody writes it meanwhile.
    _locks: Vec<DirLock>,
}

impl RestoreArgs {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        self.output.prepare()?;
        let source = self.source()?;
        let new = NewDir::begin(&self.data_dir)?;
        let storage = new.journal()?;
        self.copy(&source, &storage)?;
        let report = self.take_over(&source, storage)?;
        new.finish()?;
        self.output.write(&report, |out| show(&report, &self.data_dir, out))?;
        Ok(Exit::Done)
    }

    fn source(&self) -> anyhow::Result<Source> {
        let from = self.from.display();
        let directory = journal_dir(&self.from);
        let log = DirStorage::open_existing(&directory).map_err(|error| {
            let message = format!(
                "no journal in {}: {error}; --from names a backup, or a data directory that nobody writes",
                directory.display()
            );
            failure(Exit::Usage, message)
        })?;
        if lie_in_each_other(&self.data_dir, &self.from)? {
            let message = format!(
                "{} is, lies in, or holds the backup {from}: what loses the one would lose the other; name \
                 another --data-dir",
                self.data_dir.display()
            );
            return Err(failure(Exit::Usage, message));
        }
        let locks = [&self.from, &directory].map(|dir| self.unwritten(dir));
        let locks = locks.into_iter().collect::<anyhow::Result<Vec<Option<_>>>>()?;
        let log = Arc::new(log);
        let damaged = |error| self.refused(CopyError::Log(error));
        let scanned = Scan::open(Arc::clone(&log) as Arc<dyn Storage>).map_err(damaged)?;
        let Some(header) = scanned.headers().last().copied() else {
            let message = format!("{from} has no segments: a backup of it never began");
            return Err(failure(Exit::Usage, message));
        };
        let first = scanned.first_sequence();
        let last = scanned.records_from(first).map_err(damaged)?.last_sequence();
        let cut = match &self.until {
            None => last,
            Some(until) => until.cut(&log, first, last, &from.to_string())?,
        };
        let (identity, segment_bytes) = (header.identity, header.segment_bytes);
        let _locks = locks.into_iter().flatten().collect();
        Ok(Source { log, identity, segment_bytes, last, cut, _locks })
    }

    /// Keeps servers and backups from writing a directory of the backup, where its file system locks.
    fn unwritten(&self, directory: &Path) -> anyhow::Result<Option<DirLock>> {
        match DirLock::share(directory) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Io { .. }) => Ok(None),
            Err(LockError::Held { .. }) => {
                let from = quoted(&self.from);
                let message = format!(
                    "a server or `doorbuster backup` writes {from}: stop it, or restore from a backup of it: \
                     `doorbuster backup --to BACKUP --data-dir {from}` makes one"
                );
                Err(failure(Exit::InUse, message))
            }
        }
    }

    fn copy(&self, source: &Source, to: &Arc<DirStorage>) -> anyhow::Result<()> {
        let scan = Scan::open(Arc::clone(&source.log) as Arc<dyn Storage>)?;
        let bar = bar::over_bytes(scan.bytes_total(), "copying");
        let copied = copy_upto(scan, to, source.cut, &mut |bytes| bar.inc(bytes));
        bar.finish_and_clear();
        copied.map_err(|error| self.refused(error))?;
        let of =
            |storage: &Arc<DirStorage>| Snapshots::of_log(Arc::clone(storage) as Arc<dyn Storage>);
        // Those that are later than the cut speak of what is left out.
        of(&source.log).copy_to(&of(to), Sequence::new(source.cut))?;
        Ok(())
    }

    fn refused(&self, error: CopyError) -> anyhow::Error {
        let (from, new) = (self.from.display(), self.data_dir.display());
        let (exit, advice) = match &error {
            CopyError::Log(error) => {
                let verify = format!("`doorbuster wal verify --data-dir {}`", quoted(&self.from));
                let advice = format!(
                    "restore from another backup than {from}; {verify} names all that is damaged"
                );
                (exit_of_log(error), advice)
            }
            _ => (Exit::Environment, "make room, then run this again".to_owned()),
        };
        failure(exit, format!("{error}: {advice}; {new} was not made"))
    }

    /// Reads what was copied, makes its state, and begins the new epoch.
    fn take_over(&self, source: &Source, to: Arc<DirStorage>) -> anyhow::Result<RestoreJson> {
        let options = Options {
            segment_bytes: source.segment_bytes,
            payload_bytes_max: u32::try_from(PAYLOAD_BYTES_MAX).unwrap_or(u32::MAX),
            ..Options::default()
        };
        let mut opening = Opening::new(to, options)?;
        let bar = bar::over_bytes(opening.bytes_total(), "checking the copy");
        let read = read_whole(&mut opening, &mut |bytes| bar.set_position(bytes));
        bar.finish_and_clear();
        let (recovered, replayed) = read.map_err(|error| self.unfit(error))?;
        assert_eq!(replayed.last_sequence, source.cut, "the copy ends where it was cut");
        let epoch = restored_epoch(source.identity.epoch, random()?);
        let epoch = epoch.ok_or_else(|| {
            failure(
                Exit::Environment,
                "this journal was restored 4,095 times: there is no epoch left",
            )
        })?;
        opening.take_over(epoch);
        let started = Started {
            started_at_ms: start_ms(recovered.last_ms),
            binary: env!("CARGO_PKG_VERSION").into(),
        };
        drop(opening.start(source.identity, &Payload::Started(started))?);
        Ok(self.report(source, epoch, replayed.first_sequence, &recovered))
    }

    fn unfit(&self, error: StartError) -> anyhow::Error {
        let new = self.data_dir.display();
        let advice = match &error {
            StartError::Snapshot(_) => {
                "restore a later --until, or a backup from before the log was pruned"
            }
            _ => "restore from another backup",
        };
        let message = format!("{error}: {advice}; {new} was not made");
        let exit = match &error {
            StartError::Snapshot(why) if why.is_pruned_alone() => Exit::Usage,
            _ => exit_of(&anyhow::Error::new(error)),
        };
        failure(exit, message)
    }

    fn report(
        &self,
        source: &Source,
        epoch: u32,
        first_sequence: u64,
        recovered: &Recovered,
    ) -> RestoreJson {
        let figures = || recovered.inventory.products().map(|(_, product)| product.figures);
        RestoreJson {
            data_dir: self.data_dir.display().to_string(),
            journal_id: hex(&source.identity.journal_id),
            partition: source.identity.partition,
            epoch,
            first_sequence,
            last_sequence: source.cut,
            last_at: recovered.last_ms.and_then(until::rfc3339),
            start_sequence: source.cut + 1,
            left_out_records: source.last - source.cut,
            products: recovered.inventory.len(),
            stock: figures().map(|figures| figures.stock).sum(),
            held: figures().map(|figures| figures.held).sum(),
            sold: figures().map(|figures| figures.sold).sum(),
            idempotency_keys: recovered.idempotency.len(),
        }
    }
}

/// Copies up to a record.
fn copy_upto(
    scan: Scan,
    to: &Arc<DirStorage>,
    upto: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<(), CopyError> {
    let storage = Arc::clone(to) as Arc<dyn Storage>;
    let mut copier = Copier::open(scan, storage, CopyUpto::Sequence(upto))?;
    while let CopyStep::Copied(bytes) = copier.step()? {
        progress(bytes);
    }
    Ok(())
}

/// Now, if the last record lets that be believed; else its time: the next start asks the operator.
fn start_ms(last_ms: Option<u64>) -> u64 {
    let clock = PartitionClock::start(Arc::new(SystemClock::new()), last_ms, None);
    clock.map_or_else(|error| error.last_ms, |clock| clock.now_ms())
}

fn random() -> anyhow::Result<u32> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| {
        failure(Exit::Environment, format!("no randomness for an epoch: {error}"))
    })?;
    Ok(u32::from_le_bytes(bytes))
}

fn show(report: &RestoreJson, data_dir: &Path, out: &mut String) {
    let new = data_dir.display();
    let RestoreJson { last_sequence, left_out_records, stock, held, sold, .. } = report;
    let last_at = report.last_at.as_deref();
    out.push_str(&format!(
        "{new} has the log up to record {}{}, in epoch {} from record {} on\n",
        grouped(*last_sequence),
        last_at.map_or_else(String::new, |at| format!(" of {at}")),
        report.epoch,
        grouped(report.start_sequence),
    ));
    out.push_str(&match left_out_records {
        0 => "all that the backup has; what was sold after it is not in it\n".to_owned(),
        left => format!("{} of the backup left out\n", counted(*left, "record")),
    });
    out.push_str(&format!(
        "checked: every frame, version and digest; {}: {stock} stock, {held} held, {sold} sold\n\n",
        counted(report.products as u64, "product"),
    ));
    out.push_str(&format!(
        "next:    doorbuster serve --data-dir {new}\n\
         orders   placed after record {last_sequence} are gone: their ids answer 404, and their keys are \
         free, so a retry buys anew\n\
         database one that ends at record {last_sequence} or before it goes on; one that is ahead is \
         refused, and a new one is filled:\n\
         \x20        doorbuster project --rebuild --to URL|FILE --data-dir {new}\n\
         never    let this log sell while the one it was copied from does\n",
    ));
}
