//! A log in its files as of one look: for copying it beside the engine that writes it.
//!
//! What was proven durable at the look is all there is: later records may belong to an owner that
//! the places of this look do not know. The exception is what a copy already has: only durable
//! records are copied, so the copy proves the few that the log itself does not prove yet, such as
//! the watermark that an idle log ends with.

use std::sync::Arc;

use doorbuster_wal::{Entry, Storage};

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
    /// By the log itself.
    proven: Sequence,
    /// The records behind, as far as a copy proves them.
    copied: Arc<Vec<Tailed>>,
}

/// Records of a [`JournalFiles`] in order, up to where it was looked at.
pub struct FileTail {
    records: JournalRecords,
    next: u64,
    proven: u64,
    copied: Arc<Vec<Tailed>>,
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
        let copied = Arc::default();
        Ok(Some(Self { storage, places, identity, first, proven, copied }))
    }

    /// The same, up to a record that a copy of this log has, if it is there. Whether it is that
    /// record, its checksum tells.
    ///
    /// # Errors
    /// The log is damaged or cannot be read, or a record does not decode.
    pub fn with_copied(mut self, sequence: Sequence) -> Result<Self, ReadError> {
        if sequence <= self.proven {
            return Ok(self);
        }
        let scan = JournalScan::open(Arc::clone(&self.storage))?;
        let last = scan.segments().headers().last().map_or(0, |header| header.segment);
        let mut copied = Vec::new();
        let mut undecoded = None;
        let mut visit = |entry: &Entry<'_>| {
            if (self.proven.get() + 1..=sequence.get()).contains(&entry.sequence) {
                match Tailed::of(*entry) {
                    Ok(record) => copied.push(record),
                    Err(error) => undecoded = Some(error),
                }
            }
            Ok(())
        };
        match scan.segments().checkpoint(last) {
            Some(from) => scan.replay_after(&from, &mut visit, &mut |_| {})?,
            None => scan.replay(&mut visit, &mut |_| {})?,
        };
        if let Some(error) = undecoded {
            return Err(error);
        }
        // A segment that was begun meanwhile proves all before it: another look finds that.
        let follows =
            copied.first().is_some_and(|first| first.sequence.get() == self.proven.get() + 1);
        self.copied = Arc::new(if follows { copied } else { Vec::new() });
        self.places = scan.places().unwrap_or(self.places);
        Ok(self)
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

    /// Highest sequence that was proved to be durable.
    #[must_use]
    pub fn proven(&self) -> Sequence {
        self.copied.last().map_or(self.proven, |last| last.sequence)
    }

    /// Its records from `from` on, or from the first there is.
    ///
    /// # Errors
    /// The log is damaged or cannot be read.
    pub fn tail(&self, from: Sequence) -> Result<FileTail, JournalError> {
        let records = JournalScan::open(Arc::clone(&self.storage))?.records_from(from)?;
        let next = from.get().max(records.first_sequence().get());
        let copied = Arc::clone(&self.copied);
        Ok(FileTail { records, next, proven: self.proven.get(), copied })
    }
}

impl FileTail {
    /// The next record; `None`: there was no more at the look.
    ///
    /// # Errors
    /// The log cannot be read, is damaged there, or the record does not decode.
    #[expect(clippy::should_implement_trait, reason = "as of the other tails")]
    pub fn next(&mut self) -> Result<Option<Tailed>, ReadError> {
        let record = match self.next > self.proven {
            true => self.copied_at(self.next).cloned(),
            false => self.records.next()?,
        };
        self.next += u64::from(record.is_some());
        Ok(record)
    }

    /// One record; `None`: it is not there, or was not at the look.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn read(&self, sequence: Sequence) -> Result<Option<Payload>, ReadError> {
        match sequence.get() > self.proven {
            true => Ok(self.copied_at(sequence.get()).map(|record| record.payload.clone())),
            false => self.records.read(sequence),
        }
    }

    fn copied_at(&self, sequence: u64) -> Option<&Tailed> {
        let place = usize::try_from(sequence - self.proven - 1).ok()?;
        self.copied.get(place)
    }
}
