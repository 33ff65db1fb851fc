//! The `Store` trait: what a database must do for the projector. Faults enter here in tests.
//!
//! A store applies one batch in one transaction whose first statement is the guarded update of
//! `progress`; it says which way a failure goes, and decides nothing else. Opening and
//! reading `progress` again resolves every doubt, such as a commit whose answer was lost.

use std::time::Duration;

use crate::domain::Sequence;
use crate::journal::{JournalIdentity, Places, Planted, Tailed, planted};

/// How far the tables of one partition are, and of which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which log the tables are a copy of.
    pub identity: JournalIdentity,
    /// Last record that is in the tables or in quarantine; 0 before the first.
    pub sequence: Sequence,
    /// Checksum of that record; 0 before the first.
    pub checksum: u32,
}

/// What a store finds when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// How far its tables are.
    pub progress: Progress,
    /// Records in quarantine.
    pub quarantined: u64,
}

/// Records to write in one transaction.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// What `progress` must say before.
    pub from: &'a Progress,
    /// The next records after it that leave something, in order, at least one: watermarks do not.
    pub records: &'a [Tailed],
    /// Where they lie, as the world outside sees it.
    pub places: &'a Places,
    /// Why these records go to quarantine instead of the tables.
    pub verdict: Option<&'a ContentError>,
}

/// What a transaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// What `progress` says now.
    pub progress: Progress,
    /// How many of the records went to quarantine.
    pub quarantined: u64,
}

/// The database refuses what a record says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ContentError {
    /// SQLSTATE, or SQLite's extended code.
    pub code: String,
    /// What the database says.
    pub message: String,
}

/// Why nothing was written. The transaction is rolled back, or its end is unknown until
/// `progress` is read again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// `progress` is not where the batch begins: another projector was faster. Read it again.
    #[error("another projector writes the same tables")]
    Raced,
    /// A record of the batch cannot be written: find out which.
    #[error("{0}")]
    Content(ContentError),
    /// A row is there that only this log writes: someone else wrote. A person has to look.
    #[error("{0}")]
    Collision(String),
    /// It took longer than a transaction may: try again later, with fewer records.
    #[error("{0}")]
    TooSlow(String),
    /// What was written may not outlast a power loss, and writing it again does not happen by itself:
    /// a person has to look at the disk.
    #[error("{0}")]
    Unsynced(String),
    /// Anything else: try again later.
    #[error("{0}")]
    Unavailable(String),
}

/// A database that takes the projection.
pub trait Store: Send {
    /// Where it writes, in words for an operator. Never with a password.
    fn place(&self) -> String;

    /// What another log needs one of: `"file"` or `"schema"`.
    fn kind(&self) -> &'static str;

    /// Whether what it writes lies on the data directory's disk.
    fn is_on_data_disk(&self) -> bool;

    /// Connects if it is not connected, brings the tables up to date, begins `progress` for a
    /// partition that has none, and reads it.
    ///
    /// # Errors
    /// `TooSlow`, `Unavailable`.
    fn open(&mut self, identity: &JournalIdentity) -> Result<Opened, StoreError>;

    /// Writes a batch in one transaction, if `progress` still is where it begins.
    ///
    /// # Errors
    /// Why nothing was written.
    fn apply(&mut self, batch: &Batch<'_>) -> Result<Applied, StoreError>;

    /// Bytes that were written and left to be written once more, to where they stay.
    fn unsettled_bytes(&self) -> u64 {
        0
    }

    /// Writes them there, as far as it can be done now, in pieces: `rest` is called after each with
    /// how long it took.
    ///
    /// # Errors
    /// `Unsynced`: it is not known what is written.
    fn settle(&mut self, _rest: &mut dyn FnMut(Duration)) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Progress {
    /// Nothing of this log yet.
    #[must_use]
    pub fn none(identity: JournalIdentity) -> Self {
        Self { identity, sequence: Sequence::new(0), checksum: 0 }
    }
}

impl Batch<'_> {
    /// What `progress` says after it.
    ///
    /// # Panics
    /// When it has no record, or they do not come after `from`.
    #[must_use]
    pub fn upto(&self) -> Progress {
        let first = self.records.first().map(|record| record.sequence);
        assert!(first > Some(self.from.sequence), "a batch comes after progress");
        if planted(Planted::RowsWithoutProgress) {
            return *self.from;
        }
        let last = self.records.last().expect("it has a first");
        let identity = self.places.identity_at(last.sequence);
        Progress { identity, sequence: last.sequence, checksum: last.checksum }
    }

    /// Time of its last record that has one.
    #[must_use]
    pub fn decided_at_ms(&self) -> Option<i64> {
        let at_ms = self.records.iter().rev().find_map(|record| record.payload.at_ms())?;
        super::time::writable_ms(at_ms)
    }
}

/// An id of a journal as the tables hold it: 32 hexadecimal digits.
pub(super) fn journal_id_text(journal_id: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*journal_id))
}

/// The id of such a text; `None` for any other.
pub(super) fn journal_id_of(text: &str) -> Option<[u8; 16]> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)).flatten()
}

/// A row of `progress` as numbers and text.
pub(super) struct ProgressColumns {
    pub(super) journal_id: String,
    pub(super) partition: i64,
    pub(super) epoch: i64,
    pub(super) sequence: i64,
    pub(super) checksum: i64,
}

impl TryFrom<ProgressColumns> for Progress {
    type Error = StoreError;

    fn try_from(row: ProgressColumns) -> Result<Self, StoreError> {
        let read = || {
            Some(Self {
                identity: JournalIdentity {
                    journal_id: journal_id_of(&row.journal_id)?,
                    partition: u16::try_from(row.partition).ok()?,
                    epoch: u32::try_from(row.epoch).ok()?,
                },
                sequence: Sequence::new(u64::try_from(row.sequence).ok()?),
                checksum: u32::try_from(row.checksum).ok()?,
            })
        };
        read().ok_or_else(|| {
            StoreError::Unavailable(format!(
                "the row of partition {} in progress was not written by doorbuster",
                row.partition
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_a_journal_reads_back() {
        let id = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
        assert_eq!(journal_id_text(&id), "000102030405060708090a0b0c0d0eff");
        assert_eq!(journal_id_of(&journal_id_text(&id)), Some(id));
        assert_eq!(journal_id_of("00"), None);
        assert_eq!(journal_id_of(&"+".repeat(32)), None);
    }
}
