//! Reading a log from its files, whole and without changing it: for tools, beside an engine or not.

use std::sync::Arc;

use doorbuster_wal::{Entry, Replayed, Scan};

use super::{DecodeError, JournalError, JournalIdentity, codec};

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

/// Replays with `visit`, and tells a record that only a newer binary knows from a damaged one.
pub(super) fn telling_future(
    visit: &mut Visit<'_>,
    replay: impl FnOnce(&mut Visit<'_>) -> Result<Replayed, JournalError>,
) -> Result<Replayed, JournalError> {
    let mut from_future = false;
    let mut visit_known = |entry: &Entry<'_>| {
        if let Err(error @ DecodeError::FromFuture { .. }) = codec::kind(entry.payload) {
            from_future = true;
            return Err(error.to_string());
        }
        visit(entry)
    };
    replay(&mut visit_known).map_err(|error| match error {
        JournalError::Corrupt { file, offset, sequence: Some(sequence), reason, .. }
            if from_future =>
        {
            JournalError::RecordFromFuture { file, offset, sequence, reason }
        }
        error => error,
    })
}
