//! Reading a log from its files, whole and without changing it: for tools, beside an engine or not.

use std::cell::Cell;
use std::sync::Arc;

use doorbuster_wal::{Checkpoint, Entry, Records, Replayed, Scan};

use super::reader::{ReadError, Tailed};
use super::{DecodeError, JournalError, JournalIdentity, Payload, Places, Snapshots, codec};
use crate::domain::Sequence;

/// What a visitor of records is: it may say what is wrong with one.
pub(super) type Visit<'a> = dyn FnMut(&Entry<'_>) -> Result<(), String> + 'a;

/// A log whose headers are read and checked.
pub struct JournalScan {
    scan: Scan,
}

impl JournalScan {
    /// Reads and checks all headers.
    ///
    /// # Errors
    /// The log is damaged, of the future, or cannot be read.
    pub fn open(storage: Arc<dyn doorbuster_wal::Storage>) -> Result<Self, JournalError> {
        Ok(Self { scan: Scan::open(storage)? })
    }

    /// Whose log it is; `None`: there is nothing in it.
    #[must_use]
    pub fn identity(&self) -> Option<JournalIdentity> {
        self.scan.identity()
    }

    /// Bytes to read, for progress.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.scan.bytes_total()
    }

    /// Digest of the log up to a record: of the segment that holds it, whose header has the digest
    /// of the one before.
    ///
    /// # Errors
    /// There is no such record, or the log cannot be read.
    pub fn digest_upto(&self, sequence: u64) -> Result<[u8; 32], JournalError> {
        self.scan.digest_upto(sequence)
    }

    /// Visits every record in order; `progress` hears how many bytes are read.
    ///
    /// # Errors
    /// The log is damaged, or `visit` says that it is; a record is of the future.
    pub fn replay(
        &self,
        visit: &mut Visit<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, JournalError> {
        telling_future(visit, |visit| self.scan.replay(visit, progress))
    }
}

impl JournalScan {
    /// Visits every record decoded, in order, or only those after a checkpoint. A long log is read
    /// a thread ahead.
    ///
    /// # Errors
    /// As [`Self::replay`]; a record does not decode.
    pub fn replay_records(
        &self,
        from: Option<&Checkpoint>,
        visit: &mut dyn FnMut(Sequence, &Payload) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, JournalError> {
        decoding(visit, |visit| self.scan.replay_ahead(from, None, visit, progress))
    }

    /// As [`Self::replay_records`], only up to a checkpoint: closed segments alone.
    ///
    /// # Errors
    /// As [`Self::replay_records`].
    pub fn replay_records_until(
        &self,
        from: Option<&Checkpoint>,
        until: &Checkpoint,
        visit: &mut dyn FnMut(Sequence, &Payload) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, JournalError> {
        decoding(visit, |visit| self.scan.replay_ahead(from, Some(until), visit, progress))
    }

    /// As [`Self::replay`], only what comes after a checkpoint.
    ///
    /// # Errors
    /// As [`Self::replay`]; the log is damaged also where it does not go on from the checkpoint.
    pub fn replay_after(
        &self,
        from: &Checkpoint,
        visit: &mut Visit<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, JournalError> {
        telling_future(visit, |visit| self.scan.replay_after(from, visit, progress))
    }

    /// Bytes to read after a checkpoint, for progress.
    #[must_use]
    pub fn bytes_after(&self, from: &Checkpoint) -> u64 {
        self.scan.bytes_after(from)
    }

    /// The places of its records, as the world outside sees them; `None`: there is none.
    #[must_use]
    pub fn places(&self) -> Option<Places> {
        Some(Places::new(self.identity()?, self.scan.epochs()))
    }

    /// The log's segments, for what only tools ask: headers, checkpoints, what can be pruned.
    #[must_use]
    pub fn segments(&self) -> &Scan {
        &self.scan
    }

    /// The log's snapshots.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::of_log(Arc::clone(self.scan.storage()))
    }

    /// The same log, opened again: with what was begun since.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn again(&self) -> Result<Self, JournalError> {
        Self::open(Arc::clone(self.scan.storage()))
    }

    /// The same, to be used up.
    #[must_use]
    pub fn into_segments(self) -> Scan {
        self.scan
    }

    /// Records from `sequence` on, or from the first there is, up to the proven watermark; see
    /// `doorbuster_wal::Records`.
    ///
    /// # Errors
    /// The log is damaged or cannot be read.
    pub fn records_from(self, sequence: Sequence) -> Result<JournalRecords, JournalError> {
        Ok(JournalRecords { records: self.scan.records_from(sequence.get())? })
    }
}

/// Records of a log in order, read from its files: what it proves to be durable, no more.
pub struct JournalRecords {
    pub(super) records: Records,
}

impl JournalRecords {
    /// Whose log it is.
    ///
    /// # Panics
    /// When there is no segment: a log that nobody has begun has no records to ask for.
    #[must_use]
    pub fn identity(&self) -> JournalIdentity {
        self.records.scan().identity().expect("the log has begun")
    }

    /// First sequence that is still there: 1, or more in a log that was pruned.
    #[must_use]
    pub fn first_sequence(&self) -> Sequence {
        Sequence::new(self.records.scan().first_sequence())
    }

    /// Highest sequence that the log proves to be durable, as of the last look.
    #[must_use]
    pub fn proven(&self) -> Sequence {
        Sequence::new(self.records.proven_sequence())
    }

    /// The places of its records, as the world outside sees them.
    #[must_use]
    pub fn places(&self) -> Places {
        Places::new(self.identity(), self.records.scan().epochs())
    }

    /// The next record; `None`: nothing more was proven at the last look.
    ///
    /// # Errors
    /// The log cannot be read, is damaged there, or the record does not decode.
    #[expect(clippy::should_implement_trait, reason = "it ends for now, not for good")]
    pub fn next(&mut self) -> Result<Option<Tailed>, ReadError> {
        self.records.next()?.map(Tailed::of).transpose()
    }

    /// One record; `None`: it is not there, or not proven.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn read(&self, sequence: Sequence) -> Result<Option<Payload>, ReadError> {
        let Some(bytes) = self.records.read(sequence.get())? else { return Ok(None) };
        let decoded = codec::decode(&bytes);
        let sequence = sequence.get();
        decoded.map(Some).map_err(|error| ReadError::Decode { sequence, error })
    }

    /// Goes on from `sequence`, or from the first there is.
    pub fn seek(&mut self, sequence: Sequence) {
        self.records.seek(sequence.get());
    }

    /// Looks how far the log has grown.
    ///
    /// # Errors
    /// The log is damaged or cannot be read.
    pub fn look_again(&mut self) -> Result<(), JournalError> {
        self.records.look_again()
    }

    /// The log's segments, as of the last look.
    #[must_use]
    pub fn segments(&self) -> &Scan {
        self.records.scan()
    }
}

/// Replays with `visit`, and tells a record that only a newer binary knows from a damaged one.
pub(super) fn telling_future(
    visit: &mut Visit<'_>,
    replay: impl FnOnce(&mut Visit<'_>) -> Result<Replayed, JournalError>,
) -> Result<Replayed, JournalError> {
    let future = Future::default();
    let mut visit_known = |entry: &Entry<'_>| {
        if let Err(error @ DecodeError::FromFuture { .. }) = codec::kind(entry.payload) {
            future.refuse::<()>(entry, Err(error))?;
        }
        visit(entry)
    };
    replay(&mut visit_known).map_err(|error| future.told(error))
}

/// Replays with every record decoded, each in the place of the one before.
pub(super) fn decoding(
    visit: &mut dyn FnMut(Sequence, &Payload) -> Result<(), String>,
    replay: impl FnOnce(&mut Visit<'_>) -> Result<Replayed, JournalError>,
) -> Result<Replayed, JournalError> {
    let (future, mut payload) = (Future::default(), Payload::default());
    let mut visit_decoded = |entry: &Entry<'_>| {
        future.refuse(entry, codec::decode_into(entry.payload, &mut payload))?;
        visit(Sequence::new(entry.sequence), &payload)
    };
    replay(&mut visit_decoded).map_err(|error| future.told(error))
}

/// The first record that only a newer binary knows; 0: none.
#[derive(Default)]
struct Future(Cell<u64>);

impl Future {
    #[inline]
    fn refuse<T>(&self, entry: &Entry<'_>, decoded: Result<T, DecodeError>) -> Result<T, String> {
        decoded.map_err(|error| {
            if matches!(error, DecodeError::FromFuture { .. }) {
                self.0.set(entry.sequence);
            }
            error.to_string()
        })
    }

    fn told(&self, error: JournalError) -> JournalError {
        let future = self.0.get();
        match error {
            JournalError::Corrupt { file, offset, sequence: Some(sequence), reason, .. }
                if sequence == future =>
            {
                JournalError::RecordFromFuture { file, offset, sequence, reason }
            }
            error => error,
        }
    }
}
