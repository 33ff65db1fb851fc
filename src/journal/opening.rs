//! Opening the local journal: read it, then begin to write it.

use std::sync::Arc;

use doorbuster_wal::{Entry, Identity, Log, Recovery, Replayed};

use super::{JournalError, Payload, encode};

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
        Ok(Self { recovery: Recovery::open(storage, options)? })
    }

    /// Bytes to read, for progress.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.recovery.bytes_total()
    }

    /// Visits every record in order; see `doorbuster_wal::Scan::replay`.
    ///
    /// # Errors
    /// The log is damaged, or `visit` says that it is.
    pub fn replay(
        &mut self,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, JournalError> {
        self.recovery.replay(visit, progress)
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
        Preallocator::start(self.log.shared())
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
