//! A copy of a log in another storage, which grows with the log: for backups and for restoring one.
//!
//! ```text
//! look ─► step ─► step ─► … ─► nothing new
//!          │ the copy's last segment gets the frames it lacks, batch by batch, or
//!          └ the next segment is begun: written under a temporary name, synced, renamed
//! ```
//!
//! Invariants: whatever interrupts it, the copy is a sound log up to some record, and goes on from
//! there. A batch of the log is synced in the copy before the next one is written, since frames say
//! of those before them that they are durable: so a torn end of the copy is told from damage as the
//! log's own is. Nothing of the log that it does not prove itself is copied, and nothing in the copy
//! is written again once a later record has proved it. The log is only read.

mod archived;
mod attach;
mod error;
mod write;

use std::sync::Arc;

use crate::header::Header;
use crate::records::Records;
use crate::scan::Scan;
use crate::storage::Storage;
use crate::{Identity, WalError};

pub use error::CopyError;

/// How far a log is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyUpto {
    /// Up to what the log proves to be durable, as it grows.
    Proven,
    /// Up to this record, which must be there: of a log that nobody writes.
    Sequence(u64),
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyStep {
    /// So many bytes of the log are new in the copy, and synced.
    Copied(u64),
    /// Nothing is left, as of the last look at the log.
    UpToDate,
}

/// A log being copied. One at a time per copy; the log may be in use.
pub struct Copier {
    source: Records,
    target: Arc<dyn Storage>,
    upto: CopyUpto,
    /// Where the copy ends; `None`: it has not begun.
    end: Option<End>,
    /// Last record that was read in the copy when it was opened.
    found: u64,
    /// A write or sync failed: what became of it only opening the copy again can tell.
    failed: bool,
}

/// Where the frames of the copy end that are certainly synced.
#[derive(Debug, Clone, Copy)]
struct End {
    /// Its last segment, as the log's header has it.
    segment: u64,
    /// Place of the next frame in the segment's file.
    offset: u64,
    /// Its sequence.
    sequence: u64,
}

impl Copier {
    /// Finds out where the copy in `target` ends, and whether the log in `source` goes on from there.
    ///
    /// Removes what a crash left half done in the copy, and zeros of its end what is torn.
    ///
    /// # Errors
    /// The log or the copy cannot be read, or they do not belong together.
    pub fn open(source: Scan, target: Arc<dyn Storage>, upto: CopyUpto) -> Result<Self, CopyError> {
        let mut source = source.records_from(1).map_err(CopyError::Log)?;
        // The headers may be older than the frames: both are needed as of one moment.
        source.look_again().map_err(CopyError::Log)?;
        let mut copier = Self { source, target, upto, end: None, found: 0, failed: false };
        copier.attach()?;
        Ok(copier)
    }

    /// The log that is copied.
    #[must_use]
    pub fn log(&self) -> &Scan {
        self.source.scan()
    }

    /// Highest sequence to copy, as of the last look.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        match self.upto {
            CopyUpto::Proven => self.source.proven_sequence(),
            CopyUpto::Sequence(sequence) => sequence,
        }
    }

    /// Highest sequence that is in the copy, and certainly synced.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.end.map_or(0, |end| end.sequence - 1)
    }

    /// Last record that was in the copy when it was opened, certainly synced or not; 0: none was.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.found
    }

    /// Bytes of the log that are not in the copy, about, for progress.
    #[must_use]
    pub fn bytes_left(&self) -> u64 {
        self.source.bytes_from(self.end.map(|end| (end.segment, end.offset)))
    }

    /// Looks how far the log has grown.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn look_again(&mut self) -> Result<(), CopyError> {
        self.source.look_again().map_err(CopyError::Log)
    }

    /// Copies what comes next: at most a segment.
    ///
    /// # Errors
    /// The log or the copy cannot be read, the copy cannot be written; it is sound nevertheless.
    /// After a failed write, open it again.
    pub fn step(&mut self) -> Result<CopyStep, CopyError> {
        if self.failed {
            return Err(CopyError::Copy(WalError::Poisoned));
        }
        // Unless this ends well, it may have been anywhere in a write.
        self.failed = true;
        let step = self.next_step()?;
        self.failed = false;
        Ok(step)
    }

    fn next_step(&mut self) -> Result<CopyStep, CopyError> {
        let headers = self.source.scan().headers();
        let Some(end) = self.end else {
            let first = *headers.first().ok_or(CopyError::Empty)?;
            return match first.first_sequence <= self.wanted() {
                true => self.begin(&first, None),
                false => Ok(CopyStep::UpToDate),
            };
        };
        let place = headers.binary_search_by_key(&end.segment, |header| header.segment);
        let place = place.map_err(|_| CopyError::Log(pruned_meanwhile(end.segment)))?;
        let next = headers.get(place + 1).copied();
        let header = *headers.get(place).expect("it was found just now");
        match next.filter(|next| next.first_sequence <= self.wanted()) {
            Some(next) if end.sequence < next.first_sequence => {
                self.append(&header, end, next.first_sequence - 1)
            }
            Some(next) => {
                let used = self.check_end(&header, &next, end)?;
                self.begin(&next, Some((&header, used)))
            }
            None if end.sequence <= self.wanted() => self.append(&header, end, self.wanted()),
            None => Ok(CopyStep::UpToDate),
        }
    }

    /// The log's epoch, as of the last look.
    fn epoch(&self) -> u32 {
        self.source.scan().identity().map_or(0, |identity| identity.epoch)
    }

    /// The segment after this one, as of the last look.
    fn next_of(&self, header: &Header) -> Option<Header> {
        let headers = self.source.scan().headers();
        headers.iter().find(|next| next.segment == header.segment + 1).copied()
    }
}

fn pruned_meanwhile(segment: u64) -> WalError {
    let gone = std::io::ErrorKind::NotFound.into();
    WalError::io("find", &crate::header::file_name(segment))(gone)
}

/// Whose log a header belongs to, without who owned it then.
fn journal_of(identity: &Identity) -> ([u8; 16], u16) {
    (identity.journal_id, identity.partition)
}
