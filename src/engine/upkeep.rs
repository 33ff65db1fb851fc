//! What is done to a log behind the sale: snapshots of closed segments, and their way into the
//! archive.
//!
//! ```text
//! segment closed ──► snapshot (recovered on a copy) ──► projected? ──► archive
//! ```
//!
//! A snapshot is made as a start would make the state: from the snapshot before and the closed
//! segments since, on a copy of its own; the partition is never asked. A segment is archived once a
//! snapshot covers it and its records are in SQL. Neither ever stops a sale: without room both wait,
//! what fails is told once and tried again.
//!
//! [`Upkeep::step`] does one thing and returns, so that a simulator can step it; [`UpkeepThread`] is
//! the shell that waits, with the lowest priority there is.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::recovery::Recovered;
use super::snapshot::{ANY, FromSnapshot, Log, NoSnapshot, newest};
use crate::background::run_when_idle;
use crate::domain::Sequence;
use crate::journal::{
    Checkpoint, JournalError, JournalReader, Payload, SnapshotError, SnapshotHead, Snapshots,
};
use crate::telemetry;

/// How often it is looked whether there is something to do.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long after a failure nothing is tried.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Tells how far the projection is; `None`: it is not known.
pub type AskProjected = Arc<dyn Fn() -> Option<Sequence> + Send + Sync>;
/// Tells how many bytes are free where the log lies; `None`: the file system does not say.
pub type AskFree = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// Settings of the upkeep.
#[derive(Clone)]
pub struct UpkeepOptions {
    /// Segments that are closed between two snapshots at least.
    pub snapshot_segments: u64,
    /// Bytes that are the log's: with fewer free, nothing is written here.
    pub reserve_bytes: u64,
    /// Bytes free.
    pub free_bytes: AskFree,
    /// How far the projection is.
    pub projected: AskProjected,
    /// Keys at most, as the engine has them.
    pub keys_max: usize,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkept {
    /// There is nothing to do.
    Nothing,
    /// A snapshot was written.
    Snapshot(Sequence),
    /// A segment was archived.
    Archived(u64),
    /// There is something to do, and too little room for it.
    WithoutRoom,
}

/// Why a step could not be done. The sale goes on, and so does the log.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The log cannot be read, or is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A snapshot cannot be written or read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The snapshots there are cannot be used, and one is needed.
    #[error(transparent)]
    NoSnapshot(#[from] NoSnapshot),
    /// Told to end.
    #[error("it was told to end")]
    Ended,
}

/// Snapshots and archive of a running log.
pub struct Upkeep {
    journal: JournalReader,
    snapshots: Snapshots,
    options: UpkeepOptions,
    /// The newest sound snapshot, once it was looked for.
    newest: Option<Newest>,
    /// The first segment that is not known to be archived.
    archive_next: u64,
    ends: Arc<AtomicBool>,
}

/// What is known of the newest snapshot.
#[derive(Debug, Clone, Copy, Default)]
struct Newest {
    /// First segment that it does not cover; 0: there is no snapshot.
    segment: u64,
    bytes: u64,
}

impl Upkeep {
    /// Of the log that `journal` reads.
    #[must_use]
    pub fn new(journal: JournalReader, options: UpkeepOptions) -> Self {
        let snapshots = journal.snapshots();
        let ends = Arc::default();
        Self { journal, snapshots, options, newest: None, archive_next: 0, ends }
    }

    /// Does the next thing that is due, if one is.
    ///
    /// # Errors
    /// Why it could not be done; the next call tries again.
    pub fn step(&mut self) -> Result<Upkept, UpkeepError> {
        let newest = match self.newest {
            Some(newest) => newest,
            None => *self.newest.insert(self.look()?),
        };
        if self.snapshot_is_due(&newest) {
            return match self.has_room(newest.bytes + newest.bytes / 4) {
                true => self.snapshot().map(Upkept::Snapshot),
                false => Ok(Upkept::WithoutRoom),
            };
        }
        self.archive(&newest)
    }

    /// The newest snapshot whose head is sound.
    fn look(&self) -> Result<Newest, UpkeepError> {
        for sequence in self.snapshots.list()? {
            if let Ok(reader) = self.snapshots.open(sequence) {
                let segment = reader.head().checkpoint.segment;
                return Ok(Newest { segment, bytes: reader.bytes() });
            }
        }
        Ok(Newest::default())
    }

    /// Enough segments are closed, and they hold as much as the last snapshot: so that a state that
    /// is large is not written over and over for little news.
    fn snapshot_is_due(&self, newest: &Newest) -> bool {
        let last = self.journal.last_segment();
        let first = newest.segment.max(self.journal.first_segment());
        let closed = last.number.saturating_sub(first);
        closed >= self.options.snapshot_segments.max(1)
            && closed.saturating_mul(last.bytes) >= newest.bytes
    }

    fn has_room(&self, bytes: u64) -> bool {
        let free = (self.options.free_bytes)();
        free.is_none_or(|free| free.saturating_sub(bytes) >= self.options.reserve_bytes)
    }

    fn snapshot(&mut self) -> Result<Sequence, UpkeepError> {
        let begun = now();
        let scan = self.journal.scan()?;
        let segments = scan.segments();
        let last = segments.headers().last().map_or(0, |header| header.segment);
        let Some(until) = segments.checkpoint(last) else {
            unreachable!("a segment was closed before the last")
        };
        let log = Log {
            identity: scan.identity(),
            first_sequence: Sequence::new(segments.first_sequence()),
            check_continues: &|checkpoint| segments.check_continues(checkpoint),
        };
        let found = newest(&self.snapshots, &log, ANY, self.options.keys_max, &mut |_| {})?;
        let (mut recovered, from) = match found {
            Some(FromSnapshot { recovered, head, .. }) => (recovered, Some(head.checkpoint)),
            None => (Recovered::new(self.options.keys_max), None),
        };
        let mut visit = |sequence, payload: &Payload| {
            self.check_end().map_err(|ended| ended.to_string())?;
            recovered.follow(sequence, payload)
        };
        let replayed = scan.replay_records_until(from.as_ref(), &until, &mut visit, &mut |_| {});
        self.check_end()?;
        replayed?;
        let head = SnapshotHead { checkpoint: until, last_ms: recovered.last_ms };
        self.snapshots.write(&head, |writer| recovered.write_rows(writer))?;
        let bytes = self.snapshots.open(Sequence::new(until.sequence))?.bytes();
        self.newest = Some(Newest { segment: until.segment, bytes });
        tell(&until, bytes, begun);
        Ok(Sequence::new(until.sequence))
    }

    fn check_end(&self) -> Result<(), UpkeepError> {
        match self.ends.load(Ordering::Relaxed) {
            true => Err(UpkeepError::Ended),
            false => Ok(()),
        }
    }

    /// Archives the oldest segment that may be.
    fn archive(&mut self, newest: &Newest) -> Result<Upkept, UpkeepError> {
        loop {
            let segment = self.archive_next.max(self.journal.first_segment());
            let Some(end) = self.journal.end_of_segment(segment) else {
                return Ok(Upkept::Nothing);
            };
            let projected = (self.options.projected)();
            if segment >= newest.segment || projected.is_none_or(|projected| projected < end) {
                return Ok(Upkept::Nothing);
            }
            if !self.has_room(self.journal.last_segment().bytes) {
                return Ok(Upkept::WithoutRoom);
            }
            let moved = self.journal.archive(segment)?;
            self.archive_next = segment + 1;
            if moved {
                tracing::debug!(segment, "archived");
                return Ok(Upkept::Archived(segment));
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a measurement")]
fn tell(until: &Checkpoint, bytes: u64, begun: std::time::Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    metrics::gauge!(telemetry::SNAPSHOT_SEQUENCE).set(until.sequence as f64);
    metrics::histogram!(telemetry::SNAPSHOT_SECONDS).record(seconds);
    tracing::info!(sequence = until.sequence, bytes, seconds, "snapshot");
}

#[expect(clippy::disallowed_methods, reason = "measures a snapshot; decides nothing")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// The upkeep on a thread of its own.
pub struct UpkeepThread {
    ends: Arc<Ends>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Ends {
    told: Arc<AtomicBool>,
    lock: Mutex<()>,
    wake: Condvar,
}

impl UpkeepThread {
    /// Starts it.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(mut upkeep: Upkeep) -> io::Result<Self> {
        let told = Arc::clone(&upkeep.ends);
        let ends = Arc::new(Ends { told, lock: Mutex::new(()), wake: Condvar::new() });
        let theirs = Arc::clone(&ends);
        let run = move || {
            run_when_idle();
            keep_up(&mut upkeep, &theirs);
        };
        let thread = std::thread::Builder::new().name("upkeep".to_owned()).spawn(run)?;
        Ok(Self { ends, thread: Some(thread) })
    }

    /// Ends it; a snapshot that is being made is given up.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.ends.told.store(true, Ordering::Relaxed);
        drop(self.ends.lock.lock());
        self.ends.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for UpkeepThread {
    fn drop(&mut self) {
        self.end();
    }
}

fn keep_up(upkeep: &mut Upkeep, ends: &Ends) {
    let mut told = None;
    loop {
        let wait = match step_without_panic(upkeep) {
            Ok(Upkept::Snapshot(_) | Upkept::Archived(_)) => {
                told = None;
                Duration::ZERO
            }
            Ok(Upkept::Nothing) => LOOK_AGAIN,
            Ok(Upkept::WithoutRoom) => {
                let reason = "the disk's reserve is reached".to_owned();
                tell_once(&mut told, reason);
                RETRY_AFTER
            }
            Err(reason) => {
                tell_once(&mut told, reason);
                RETRY_AFTER
            }
        };
        let mut lock = ends.lock.lock();
        if ends.told.load(Ordering::Relaxed) {
            return;
        }
        if !wait.is_zero() {
            ends.wake.wait_for(&mut lock, wait);
        }
        if ends.told.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Tells a reason, once until it is another or something succeeds.
fn tell_once(told: &mut Option<String>, reason: String) {
    if told.as_ref() != Some(&reason) {
        tracing::warn!(
            %reason,
            "no snapshot is made and nothing is archived: sales go on, the next start takes longer, \
             and this is tried again"
        );
    }
    *told = Some(reason);
}

/// A panic in it is a failure like any other: nothing that is half done is in use.
fn step_without_panic(upkeep: &mut Upkeep) -> Result<Upkept, String> {
    let stepped = catch_unwind(AssertUnwindSafe(|| upkeep.step()));
    match stepped {
        Ok(Err(UpkeepError::Ended)) => Ok(Upkept::Nothing),
        Ok(stepped) => stepped.map_err(|error| error.to_string()),
        Err(_) => Err("the upkeep panicked".to_owned()),
    }
}
