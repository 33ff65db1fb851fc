//! The log that is copied: the one of this process, or its files beside another process.

use super::store::{Progress, journal_id_text};
use crate::domain::Sequence;
use crate::journal::{
    FileTail, JournalFiles, JournalIdentity, JournalReader, JournalTail, Places, ReadError, Tailed,
};

/// A log that can be copied.
pub trait LogSource: Send + Sync {
    /// Whose log it is.
    fn identity(&self) -> JournalIdentity;

    /// The places of its records, as the world outside sees them.
    fn places(&self) -> Places;

    /// Highest sequence that may be copied.
    fn durable(&self) -> Sequence;

    /// Its durable records from `from` on.
    ///
    /// # Errors
    /// It cannot be read.
    fn tail(&self, from: Sequence) -> Result<Box<dyn LogTail>, ReadError>;
}

/// Durable records in order.
pub trait LogTail: Send {
    /// The next one; `None`: nothing more is durable yet.
    ///
    /// # Errors
    /// It cannot be read.
    fn next(&mut self) -> Result<Option<Tailed>, ReadError>;
}

/// Why tables are no copy of a log, or cannot be told to be.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// They are something else's: what, and what to do.
    #[error("{0}")]
    Other(String),
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Unreadable(#[from] ReadError),
}

impl LogSource for JournalReader {
    fn identity(&self) -> JournalIdentity {
        self.identity()
    }
    fn places(&self) -> Places {
        self.places()
    }
    fn durable(&self) -> Sequence {
        self.durable()
    }
    fn tail(&self, from: Sequence) -> Result<Box<dyn LogTail>, ReadError> {
        Ok(Box::new(self.tail(from)))
    }
}

impl LogTail for JournalTail {
    fn next(&mut self) -> Result<Option<Tailed>, ReadError> {
        self.next()
    }
}

impl LogSource for JournalFiles {
    fn identity(&self) -> JournalIdentity {
        self.identity()
    }
    fn places(&self) -> Places {
        self.places().clone()
    }
    fn durable(&self) -> Sequence {
        self.proven()
    }
    fn tail(&self, from: Sequence) -> Result<Box<dyn LogTail>, ReadError> {
        Ok(Box::new(self.tail(from)?))
    }
}

impl LogTail for FileTail {
    fn next(&mut self) -> Result<Option<Tailed>, ReadError> {
        self.next()
    }
}

/// Whether tables whose progress this is are a copy of a log up to there. `place` and `kind` are
/// what the tables lie in, as a [`super::Store`] says it.
///
/// # Errors
/// They are not; with what to do.
pub fn check_copy(
    progress: &Progress,
    log: &dyn LogSource,
    place: &str,
    kind: &str,
) -> Result<(), CopyError> {
    let ours = log.identity();
    let (theirs, sequence) = (&progress.identity, progress.sequence);
    if theirs.journal_id != ours.journal_id || theirs.partition != ours.partition {
        return Err(CopyError::Other(format!(
            "{place} holds the journal {}, this log is {}: give this log another {kind}, or start \
             with the data directory those tables belong to",
            journal_id_text(&theirs.journal_id),
            journal_id_text(&ours.journal_id),
        )));
    }
    let durable = log.durable();
    if sequence > durable {
        return Err(CopyError::Other(format!(
            "{place} is at record {sequence}, this log ends at {durable}: it is an older copy of the log. \
             Restore a newer one (of a backup: back up again), or give this log another {kind}: \
             `doorbuster project --rebuild` fills one, keep this one to compare",
        )));
    }
    if sequence.get() == 0 {
        return Ok(());
    }
    let record = log.tail(sequence)?.next()?;
    let checksum = record.map(|record| record.checksum);
    let epoch = log.places().epoch_of(sequence);
    if theirs.epoch != epoch || checksum != Some(progress.checksum) {
        return Err(CopyError::Other(format!(
            "{place} ends with another record {sequence} than this log (epoch {}, checksum \
             {:08x}; here epoch {epoch}, checksum {:08x}): the log or the database was restored; \
             restore both to the same time, or give this log another {kind}: \
             `doorbuster project --rebuild` fills one, keep this one to compare",
            theirs.epoch,
            progress.checksum,
            checksum.unwrap_or(0),
        )));
    }
    Ok(())
}
