//! A log in its files as of one look: for copying it beside the engine that writes it.
//!
//! What was proven durable at the look is all there is: later records may belong to an owner that
//! the places of this look do not know.

use std::sync::Arc;

use doorbuster_wal::Storage;

use super::reader::Tailed;
use super::{
    JournalError, JournalIdentity, JournalRecords, JournalScan, Payload, Places, ReadError,
};
use crate::domain::Sequence;

/// A log in its files; any number may read it at once.
pub struct JournalFiles {
    storage: Arc<dyn Storage>,
    places: Places,
    identity: JournalIdentity,
    first: Sequence,
    proven: Sequence,
}

/// Records of a [`JournalFiles`] in order, up to where it was looked at.
pub struct FileTail {
    records: JournalRecords,
    next: u64,
    proven: u64,
}

impl JournalFiles {
    /// Looks how far a log is; `None`: there is nothing in it.
    ///
    /// # Errors
    /// The log is damaged, of the future, or cannot be read.
    pub fn look(storage: Arc<dyn Storage>) -> Result<Option<Self>, JournalError> {
        let scan = JournalScan::open(Arc::clone(&storage))?;
        if scan.identity().is_none() {
            return Ok(None);
        }
        let mut records = scan.records_from(Sequence::new(1))?;
        records.look_again()?;
        let (places, identity) = (records.places(), records.identity());
        let (first, proven) = (records.first_sequence(), records.proven());
        Ok(Some(Self { storage, places, identity, first, proven }))
    }

    /// Whose log it is.
    #[must_use]
    pub fn identity(&self) -> JournalIdentity {
        self.identity
    }

    /// The places of its records, as the world outside sees them.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// First sequence that is still there: 1, or more in a log that was pruned.
    #[must_use]
    pub fn first_sequence(&self) -> Sequence {
        self.first
    }

    /// Highest sequence that the log proved to be durable.
    #[must_use]
    pub fn proven(&self) -> Sequence {
        self.proven
    }

    /// Its records from `from` on, or from the first there is.
    ///
    /// # Errors
    /// The log is damaged or cannot be read.
    pub fn tail(&self, from: Sequence) -> Result<FileTail, JournalError> {
        let records = JournalScan::open(Arc::clone(&self.storage))?.records_from(from)?;
        let next = from.get().max(records.first_sequence().get());
        Ok(FileTail { records, next, proven: self.proven.get() })
    }
}

impl FileTail {
    /// The next record; `None`: there was no more at the look.
    ///
    /// # Errors
    /// The log cannot be read, is damaged there, or the record does not decode.
    #[expect(clippy::should_implement_trait, reason = "as of the other tails")]
    pub fn next(&mut self) -> Result<Option<Tailed>, ReadError> {
        if self.next > self.proven {
            return Ok(None);
        }
        let record = self.records.next()?;
        self.next += u64::from(record.is_some());
        Ok(record)
    }

    /// One record; `None`: it is not there, or was not at the look.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn read(&self, sequence: Sequence) -> Result<Option<Payload>, ReadError> {
        if sequence.get() > self.proven { Ok(None) } else { self.records.read(sequence) }
    }
}
