//! Opening the local journal: read it, then begin to write it.

use std::sync::Arc;

use doorbuster_wal::{Checkpoint, Identity, Log, Recovery, Replayed};

use super::scan::{Visit, decoding, telling_future};
use super::{JournalError, Payload, Snapshots, encode};
use crate::domain::Sequence;

pub use doorbuster_wal::Preallocator;

/// A journal whose headers are read.
pub struct Opening {
    recovery: Recovery,
}

/// A journal that takes records.
pub struct OpenLog {
    pub(super) log: Log,
}

impl Opening {
    /// Opens the journal of a storage.
    ///
    /// # Errors
    /// The log is damaged, of the future, or cannot be read.
    pub fn new(
        storage: Arc<dyn doorbuster_wal::Storage>,
        options: doorbuster_wal::Options,
    ) -> Result<Self, JournalError> {
        let opening = Self { recovery: Recovery::open(storage, options)? };
        // It is not needed for a start.
        if let Err(error) = opening.snapshots().clean() {
            tracing::warn!(%error, "what is left of a snapshot stays");
        }
        Ok(opening)
    }

    /// Bytes to read, for progress.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.recovery.bytes_total()
    }

    /// Visits every record in order; see `doorbuster_wal::Scan::replay`.
    ///
    /// # Errors
    /// The log is damaged, or `visit` says that it is; a record is of the future.
    pub fn replay(
        &mut self,
        visit: &mut Visit<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, JournalError> {
        telling_future(visit, |visit| self.recovery.replay(visit, progress))
    }

    /// Visits every record decoded; see `JournalScan::replay_records`.
    ///
    /// # Errors
    /// As [`Self::replay`]; a record does not decode.
    pub fn replay_records(
        &mut self,
        from: Option<&Checkpoint>,
        visit: &mut dyn FnMut(Sequence, &Payload) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, JournalError> {
        decoding(visit, |visit| self.recovery.replay_ahead(from, visit, progress))
    }

    /// Visits only what comes after a checkpoint; see `doorbuster_wal::Scan::replay_after`.
    ///
    /// # Errors
    /// As [`Self::replay`]; the log is damaged also where it does not go on from the checkpoint.
    pub fn replay_after(
        &mut self,
        from: &Checkpoint,
        visit: &mut Visit<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, JournalError> {
        telling_future(visit, |visit| self.recovery.replay_after(from, visit, progress))
    }

    /// Bytes to read after a checkpoint, for progress.
    #[must_use]
    pub fn bytes_after(&self, from: &Checkpoint) -> u64 {
        self.recovery.scan().bytes_after(from)
    }

    /// Whether the log goes on from a checkpoint.
    ///
    /// # Errors
    /// Why it does not, in words.
    pub fn check_continues(&self, from: &Checkpoint) -> Result<(), String> {
        self.recovery.scan().check_continues(from)
    }

    /// First sequence that is still there: 1, or more in a log that was pruned.
    #[must_use]
    pub fn first_sequence(&self) -> Sequence {
        Sequence::new(self.recovery.scan().first_sequence())
    }

    /// The log gets another owner; see `doorbuster_wal::Recovery::take_over`.
    pub fn take_over(&mut self, epoch: u32) {
        self.recovery.take_over(epoch);
    }

    /// The log's snapshots.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::of_log(Arc::clone(self.recovery.scan().storage()))
    }

    /// Whose log it is; `None`: an empty directory.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.recovery.identity()
    }

    /// Begins to write, with `started` as the first record.
    ///
    /// # Errors
    /// No room for a fresh segment, or the storage fails; the log is as it was.
    pub fn start(self, new: Identity, started: &Payload) -> Result<OpenLog, JournalError> {
        let mut payload = Vec::new();
        encode(started, &mut payload);
        Ok(OpenLog { log: self.recovery.start(new, &payload)? })
    }
}

impl OpenLog {
    /// Starts the thread that zeroes segments ahead.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn preallocate(&self) -> std::io::Result<Preallocator> {
        Preallocator::start(self.log.shared(), |error| {
            tracing::warn!(
                %error,
                "no segment can be zeroed ahead: sales go on to the end of those there are, and \
                 this is tried again every second",
            );
        })
    }

    /// Zeroes one segment ahead in this thread: for simulation, and for a first sale right after
    /// a start.
    ///
    /// # Errors
    /// The storage's.
    pub fn prepare_spare(&self) -> std::io::Result<bool> {
        self.log.shared().prepare_spare()
    }
}

#[cfg(test)]
mod tests {
    use doorbuster_wal::{Batch, MemStorage, Options};

    use super::*;
    use crate::journal::{Kind, Started};

    fn open(storage: &MemStorage) -> Result<OpenLog, JournalError> {
        let options =
            Options { segment_bytes: 64 << 10, payload_bytes_max: 4096, spare_segments: 1 };
        let mut opening = Opening::new(Arc::new(storage.clone()), options)?;
        opening.replay(&mut |_| Ok(()), &mut |_| {})?;
        let identity = Identity { journal_id: [1; 16], partition: 1, epoch: 1 };
        opening.start(identity, &Payload::Started(Started { started_at_ms: 1, binary: "t".into() }))
    }

    #[test]
    fn record_of_the_future_is_no_damage_and_names_both() {
        let last = Kind::ALL.len() as u16;
        for (kind, version) in [(last + 1, 1u16), (0, 1), (6, 2), (last, 2), (u16::MAX, 1)] {
            let storage = MemStorage::new();
            let mut log = open(&storage).unwrap().log;
            let mut batch = Batch::new();
            batch.push(2, &[kind.to_le_bytes(), version.to_le_bytes()].concat());
            log.commit(&mut batch).unwrap();
            let error = open(&storage).err().unwrap();
            assert!(matches!(error, JournalError::RecordFromFuture { sequence: 2, .. }), "{error}");
            let expected = format!(
                "segment-0000000001.wal at offset 4144, sequence 2: a record has kind {kind} \
                 version {version}, this binary reads kinds 1 to {last} in version 1: use a newer one"
            );
            assert_eq!(error.to_string(), expected);
        }
    }
}
