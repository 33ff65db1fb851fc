//! The projector: one thread that copies durable records into a store, in order, for ever.
//!
//! ```text
//!        ┌── retry after a wait ◄── anything else ──┐
//!        ▼                                          │
//! open, read progress ─► verify ─► tail ─► batch ─► apply ─► next batch
//!        ▲                 │                        │  └─ content: bisect, quarantine one record
//!        └─── raced ◄──────┼────────────────────────┤
//!                          └─► stop ◄── collision ──┘
//! ```
//!
//! Invariant: whatever failed, it begins again from what `progress` says; nothing it remembers
//! decides what is written. So a lost answer, a second projector and a crash are one case.
//!
//! Watermarks are read and never written: they leave no row, and the one that a quiet log ends with
//! proves the record before it and is proved by none. So the tables of a quiet log are never ahead of
//! a backup of it, which has what the log proves.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::control::Control;
use super::courtesy::{Copied, Courtesy, rest_of_disk};
use super::options::ProjectorOptions;
use super::source::{CopyError, LogSource, LogTail, check_copy};
use super::status::Status;
use super::store::{Applied, Batch, ContentError, Progress, Store, StoreError};
use crate::domain::{Decision, Sequence};
use crate::journal::{Payload, Places, Planted, ReadError, Tailed, planted};

/// Fewest records a batch may hold once the projector falls behind.
const BATCH_RECORDS_START: usize = 64;

/// So many bytes left to settle are worth doing it between two batches.
const SETTLE_BYTES_BUSY: u64 = 48 << 20;

/// And so many where there is nothing else to do.
const SETTLE_BYTES_IDLE: u64 = 1 << 20;

/// Longest pause after another projector was faster.
const RACED_PAUSE: Duration = Duration::from_millis(50);

/// After so many lost races without a record written by anyone, something else is wrong.
const RACED_MAX: u32 = 100;

/// Why following ends.
#[derive(Debug)]
enum Halt {
    /// Read `progress` again soon.
    Raced,
    /// Try again after a wait.
    Retry(String),
    /// Try again after a wait, with smaller batches.
    Smaller(String),
    /// Only a person can go on.
    Stop(String),
}

/// What a step comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There may be more to write at once.
    Behind,
    /// All there was is written: the next records may gather.
    Idle,
    /// Try again after this time.
    Waits(Duration),
    /// It was told to end.
    Ended,
    /// Only a person can go on.
    Stopped,
}

/// How far a projector has come, until something fails.
struct Following {
    progress: Progress,
    tail: Box<dyn LogTail>,
    /// Last record that was read.
    read: Sequence,
    /// Read, and left for the next batch.
    ahead: Option<Tailed>,
}

impl Following {
    /// The next record that leaves something; `None`: there is none yet.
    fn next(&mut self) -> Result<Option<Tailed>, Halt> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        while let Some(record) = self.tail.next().map_err(unreadable)? {
            assert_eq!(record.sequence.get(), self.read.get() + 1, "the tail has no gaps");
            self.read = record.sequence;
            if !matches!(record.payload, Payload::Watermark) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Between batches: the last record up to which nothing is left to write.
    fn done(&self) -> Sequence {
        match self.ahead {
            Some(_) => self.progress.sequence,
            None => self.read,
        }
    }
}

/// What the thread runs.
pub(super) struct Projector {
    store: Box<dyn Store>,
    source: Arc<dyn LogSource>,
    places: Places,
    options: ProjectorOptions,
    status: Arc<Status>,
    control: Arc<Control>,
    backoff: Backoff,
    /// `None`: `progress` is to be read.
    following: Option<Following>,
    /// Races lost since `progress` last moved.
    raced: u32,
    /// By the last step.
    copied: Copied,
    /// Something was written since the projector last had nothing to do.
    written: bool,
    /// Bytes that the store could not settle the last time, because somebody reads them.
    kept_bytes: u64,
    /// Most records of the next batch: doubles while it is behind, halves when one takes too long.
    batch_records: usize,
}

impl Projector {
    pub(super) fn new(
        store: Box<dyn Store>,
        source: Arc<dyn LogSource>,
        options: ProjectorOptions,
        status: Arc<Status>,
        control: Arc<Control>,
    ) -> Self {
        let backoff = Backoff::new(options.backoff_min, options.backoff_max);
        let batch_records = BATCH_RECORDS_START.min(options.batch_records_max);
        let places = source.places();
        Self {
            store,
            source,
            places,
            options,
            status,
            control,
            backoff,
            following: None,
            raced: 0,
            copied: Copied::default(),
            // By a process before, for all that is known.
            written: true,
            kept_bytes: 0,
            batch_records,
        }
    }

    /// Copies until told to end, and can then go on from there; `None`: a person has to act.
    pub(super) fn run(mut self) -> Option<Self> {
        let mut courtesy = Courtesy::begin();
        loop {
            let step = self.step();
            let rest = courtesy.rest(self.copied);
            match step {
                Step::Ended => return Some(self),
                Step::Stopped => return None,
                Step::Behind => self.control.idle(rest),
                Step::Idle => self.control.idle(rest.max(self.pause())),
                Step::Waits(pause) if self.control.sleep(pause) => return Some(self),
                Step::Waits(_) => {}
            }
        }
    }

    /// How long to let records gather once all are written.
    fn pause(&self) -> Duration {
        match self.copied.records {
            0 => self.options.poll,
            _ => self.options.gather,
        }
    }

    /// Opens the store, or copies one batch.
    pub(super) fn step(&mut self) -> Step {
        self.copied = Copied::default();
        let stepped = match self.following.take() {
            Some(following) => self.copy(following),
            None => self.open(),
        };
        stepped.unwrap_or_else(|halt| self.halted(halt))
    }

    fn halted(&mut self, halt: Halt) -> Step {
        Step::Waits(match halt {
            Halt::Raced if self.raced < RACED_MAX => {
                self.raced += 1;
                self.backoff.part(RACED_PAUSE)
            }
            Halt::Raced => {
                let place = self.store.place();
                self.status.retrying(&format!("{place}: progress cannot be updated"));
                self.backoff.wait()
            }
            Halt::Retry(problem) => {
                self.status.retrying(&problem);
                self.backoff.wait()
            }
            Halt::Smaller(problem) => {
                self.status.retrying(&problem);
                self.batch_records = (self.batch_records / 2).max(1);
                self.backoff.wait()
            }
            Halt::Stop(problem) => {
                self.status.stopped(problem);
                return Step::Stopped;
            }
        })
    }

    /// Reads `progress` and finds the place in the log it names.
    fn open(&mut self) -> Result<Step, Halt> {
        self.rows_with_room()?;
        let opened = self.store.open(&self.source.identity()).map_err(|e| self.halt(e))?;
        let progress = opened.progress;
        self.verify(&progress)?;
        if self.status.applied() < Some(progress.sequence) {
            // What failed had been written, only its answer was lost.
            self.backoff.reset();
            self.raced = 0;
        }
        self.status.opened(progress.sequence, opened.quarantined);
        let read = progress.sequence;
        let tail = self.source.tail(Sequence::new(read.get() + 1)).map_err(unreadable)?;
        self.following = Some(Following { progress, tail, read, ahead: None });
        Ok(Step::Behind)
    }

    /// Writes the next records. A failure forgets where it was: `progress` says it.
    fn copy(&mut self, mut following: Following) -> Result<Step, Halt> {
        if self.control.ends_at(following.done()) {
            return Ok(Step::Ended);
        }
        let Some(first) = following.next()? else {
            self.status.has(following.done());
            self.status.is_well();
            self.backoff.reset();
            if std::mem::take(&mut self.written) {
                self.settle_from(SETTLE_BYTES_IDLE)?;
            }
            self.following = Some(following);
            return Ok(Step::Idle);
        };
        // The disk is asked only when there is something to write.
        let rows_max = self.rows_with_room()?.min(self.options.batch_rows_max);
        let records = self.read(first, &mut following, rows_max)?;
        self.status.writing(records.iter().find_map(|r| r.payload.at_ms()));
        following.progress = self.apply(&following.progress, &records)?;
        if Some(following.progress.sequence) < records.last().map(|record| record.sequence) {
            // Told to end while it looked for a record that the database refuses.
            return Ok(Step::Ended);
        }
        if planted(Planted::RowsWithoutProgress) {
            return Ok(Step::Behind);
        }
        let last_at_ms = records.iter().rev().find_map(|record| record.payload.at_ms());
        let late_ms = last_at_ms.map(|at_ms| (self.options.now_ms)().saturating_sub(at_ms));
        let late = Duration::from_millis(late_ms.unwrap_or(0));
        self.copied = Copied { records: records.len(), late };
        self.written = true;
        self.raced = 0;
        self.status.has(following.done());
        self.status.is_well();
        self.backoff.reset();
        self.settle_from(SETTLE_BYTES_BUSY)?;
        let (is_full, more) = (records.len() >= self.batch_records, following.ahead.is_some());
        self.following = Some(following);
        if is_full {
            self.batch_records = (self.batch_records * 2).min(self.options.batch_records_max);
        }
        if is_full || more {
            // While it rests, what waits is about as old as what was written.
            self.status.writing(last_at_ms);
            return Ok(Step::Behind);
        }
        // It has caught up: let the next records gather, sales need the processor more.
        Ok(Step::Idle)
    }

    /// `first` and the records behind it, as many as one transaction should take; one that has too
    /// many rows to go with them is left ahead.
    fn read(
        &self,
        first: Tailed,
        following: &mut Following,
        rows_max: usize,
    ) -> Result<Vec<Tailed>, Halt> {
        let mut records = Vec::new();
        let (mut bytes, mut rows) = (0, 0);
        let mut next = Some(first);
        while let Some(record) = next {
            rows += rows_of(&record.payload);
            // A record goes alone where it has to.
            if rows > rows_max && !records.is_empty() {
                following.ahead = Some(record);
                break;
            }
            bytes += record.bytes;
            records.push(record);
            let is_full =
                records.len() >= self.batch_records || bytes >= self.options.batch_bytes_max;
            next = if is_full { None } else { following.next()? };
        }
        Ok(records)
    }

    /// Writes records, those that the database refuses into quarantine.
    fn apply(&mut self, from: &Progress, records: &[Tailed]) -> Result<Progress, Halt> {
        let mut applied =
            self.store.apply(&Batch { from, records, places: &self.places, verdict: None });
        if let Err(StoreError::Unavailable(message)) = &applied
            && planted(Planted::QuarantineOnOutage)
        {
            let (code, message) = ("08006".to_owned(), message.clone());
            applied = Err(StoreError::Content(ContentError { code, message }));
        }
        match applied {
            Ok(applied) => Ok(self.wrote(&applied, records)),
            Err(StoreError::Content(error)) => {
                if let [record] = records {
                    tracing::error!(
                        sequence = record.sequence.get(),
                        %error,
                        "the database refuses a record; it goes to quarantine",
                    );
                    let verdict = Some(&error);
                    let applied =
                        self.store.apply(&Batch { from, records, places: &self.places, verdict });
                    let applied = applied.map_err(|error| self.halt(error))?;
                    return Ok(self.wrote(&applied, &[]));
                }
                let (left, right) = records.split_at(records.len() / 2);
                let between = self.apply(from, left)?;
                if self.control.ends_at(Sequence::new(0)) {
                    return Ok(between);
                }
                self.apply(&between, right)
            }
            Err(error) => Err(self.halt(error)),
        }
    }

    fn wrote(&self, applied: &Applied, records: &[Tailed]) -> Progress {
        if applied.quarantined > 0 && !records.is_empty() {
            let (first, last) = (records.first(), records.last());
            tracing::error!(
                records = applied.quarantined,
                from = first.map_or(0, |record| record.sequence.get()),
                to = last.map_or(0, |record| record.sequence.get()),
                "records do not follow the rows they change; they are in quarantine",
            );
        }
        self.status.wrote(applied.progress.sequence, applied.quarantined);
        applied.progress
    }

    /// Whether the tables are a copy of this log up to where they say.
    fn verify(&self, progress: &Progress) -> Result<(), Halt> {
        let (place, kind) = (self.store.place(), self.store.kind());
        check_copy(progress, &*self.source, &place, kind).map_err(|error| match error {
            CopyError::Other(reason) => Halt::Stop(reason),
            CopyError::Unreadable(error) => unreadable(error),
        })
    }

    /// Settles what was left since the last time, if it is so much.
    fn settle_from(&mut self, bytes_min: u64) -> Result<(), Halt> {
        let unsettled_bytes = self.store.unsettled_bytes();
        self.kept_bytes = self.kept_bytes.min(unsettled_bytes);
        if unsettled_bytes - self.kept_bytes < bytes_min {
            return Ok(());
        }
        let (control, late) = (&self.control, self.copied.late);
        let settled = self.store.settle(&mut |took| control.idle(rest_of_disk(took, late)));
        settled.map_err(|error| self.halt(error))?;
        self.kept_bytes = self.store.unsettled_bytes();
        Ok(())
    }

    /// Rows that can be written so that the log's reserve is left; waits where there is room for few.
    fn rows_with_room(&mut self) -> Result<usize, Halt> {
        if !self.store.is_on_data_disk() {
            return Ok(usize::MAX);
        }
        let mut room = (self.options.room)();
        let kept = room.reserve_bytes.saturating_add(TRANSACTION_BYTES);
        if room.free_bytes < kept.saturating_add(self.store.unsettled_bytes()) {
            // What is left for later takes its room now, so that the reserve is not what it takes.
            self.settle_from(1)?;
            room = (self.options.room)();
        }
        match room.free_bytes.saturating_sub(kept) / ROW_BYTES {
            rows @ ROWS_MIN.. => Ok(usize::try_from(rows).unwrap_or(usize::MAX)),
            _ => Err(Halt::Retry(format!(
                "{} bytes are free, {} are kept for the log: free some, reporting goes on by itself",
                room.free_bytes, room.reserve_bytes
            ))),
        }
    }

    fn halt(&self, error: StoreError) -> Halt {
        match error {
            StoreError::Raced => Halt::Raced,
            StoreError::Content(error) => Halt::Stop(format!(
                "{} refuses a record even in its quarantine ({error}): look for what was added to \
                 the table quarantine, then start again",
                self.store.place()
            )),
            StoreError::Collision(error) => Halt::Stop(format!(
                "{} holds a row that only this log writes, and its progress says that it was not \
                 written ({error}): someone else wrote to these tables. Compare that row with the \
                 log, remove what is not the log's and start again, or give this log another {}",
                self.store.place(),
                self.store.kind(),
            )),
            StoreError::TooSlow(error) => Halt::Smaller(format!("{}: {error}", self.store.place())),
            StoreError::Unsynced(error) => Halt::Stop(format!(
                "{} may have lost what was moved into it ({error}): see to its disk, close whatever \
                 else has it open and start again; it is then moved once more",
                self.store.place()
            )),
            StoreError::Unavailable(error) => {
                Halt::Retry(format!("{}: {error}", self.store.place()))
            }
        }
    }
}

fn unreadable(error: ReadError) -> Halt {
    Halt::Retry(format!("the log cannot be read: {error}"))
}

/// What any transaction may take of the disk: the last page of each table and index, and what is moved from
/// the write-ahead file into the database meanwhile.
const TRANSACTION_BYTES: u64 = 256 << 10;
/// What a row may take of it: it and its indexes' entries each lie in a page of 4 KiB, written to the
/// write-ahead file and then to the database.
const ROW_BYTES: u64 = 16 << 10;
/// Fewer rows are not worth a transaction: it would take one row after another, each with its syncs.
const ROWS_MIN: u64 = 16;

/// About how many rows a record leaves.
fn rows_of(payload: &Payload) -> usize {
    let Payload::Record(record) = payload else { return 0 };
    let body = match &record.decision {
        Decision::OrderPlaced(order) => 1 + order.lines.len(),
        Decision::HoldConfirmed(confirmed) => 2 + confirmed.order.lines.len(),
        Decision::OrderCancelled(cancelled) => 1 + cancelled.lines.len(),
        Decision::RefusalsCounted(counted) => counted.rows.len(),
        _ => 1,
    };
    record.envelope.changes.len() + body
}
