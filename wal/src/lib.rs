//! A segmented write-ahead log: group commit, torn-tail recovery, verification.
//!
//! ```text
//! Recovery::open ─► replay(visit) ─► start ─► Log ── commit(batch) ──► one write, one sync
//!   headers, locks     every frame     fresh     │
//!                      in order        segment   └─ Shared: watermark, room, read, tail, spares
//! ```
//!
//! schema/journal-format.md describes the bytes. Everything that touches a disk goes through
//! [`Storage`], so faults enter there.
//!
//! Invariants: at most one batch is not synced; a batch never crosses segments; a file with a
//! final name has a valid header and numbers have no gap; after a failed write or sync nothing is
//! written any more; bytes from a disk never panic and never make it allocate by an unchecked
//! length. It has never heard of what its payloads mean.

mod archive;
mod batch;
mod bisect;
mod copied;
mod copier;
mod cursor;
mod digest;
mod dir_storage;
mod epochs;
mod error;
mod files;
mod frame;
mod header;
mod lock;
mod log;
mod mem_storage;
mod outline;
mod planted;
mod pruned;
mod read_ahead;
mod records;
mod recovery;
mod scan;
mod segment;
mod shared;
mod spare;
mod storage;
mod survey;
mod tail;

pub use batch::Batch;
pub use copier::{Copier, CopyError, CopyStep, CopyUpto};
pub use dir_storage::DirStorage;
pub use epochs::Epochs;
pub use error::WalError;
pub use frame::FRAME_HEADER_BYTES;
pub use header::{FORMAT_VERSION, HEADER_BYTES, Header};
pub use lock::{DirLock, LockError};
pub use log::{Committed, Log};
pub use mem_storage::{Crash, MemStorage};
pub use outline::RoomAhead;
#[cfg(feature = "planted")]
pub use planted::Plant;
pub use planted::{Planted, planted};
pub use pruned::Deleted;
pub use records::Records;
pub use recovery::Recovery;
pub use scan::{Checkpoint, Replayed, Scan, SegmentReport, TornTail};
pub use shared::Shared;
pub use spare::Preallocator;
pub use storage::{PIECE_BYTES, Storage, StorageFile};
pub use survey::{Survey, survey};
pub use tail::Tail;

/// How a log is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Size of each segment file, a multiple of 4 KiB.
    pub segment_bytes: u64,
    /// Largest payload.
    pub payload_bytes_max: u32,
    /// Segments kept zeroed ahead, at least one.
    pub spare_segments: usize,
}

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Random, given when the log was made.
    pub journal_id: [u8; 16],
    /// Which part of the whole it holds.
    pub partition: u16,
    /// Who owns it; a later owner has a higher one.
    pub epoch: u32,
}

/// One record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place: from 1, no gaps.
    pub sequence: u64,
    /// What was on stable storage when it was written.
    pub durable_upto: u64,
    /// What it holds.
    pub payload: &'a [u8],
    /// Number of its segment.
    pub segment: u64,
    /// Where its frame begins in the segment's file.
    pub offset: u64,
}

impl Entry<'_> {
    /// The error that says what is wrong with it: the log is damaged at its place.
    #[must_use]
    pub fn corrupt(&self, reason: String) -> WalError {
        scan::corrupt(self.segment, self.offset, Some(self.sequence), reason)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, payload_bytes_max: 256 << 10, spare_segments: 2 }
    }
}

impl Options {
    /// Smallest segment.
    pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;
    /// Largest segment: one is read into memory whole at start.
    pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

    /// Whether the figures fit each other.
    ///
    /// # Errors
    /// Which do not.
    pub fn check(&self) -> Result<(), WalError> {
        let fits = (Self::SEGMENT_BYTES_MIN..=Self::SEGMENT_BYTES_MAX)
            .contains(&self.segment_bytes)
            && self.segment_bytes.is_multiple_of(4096);
        if !fits {
            let (min, max) = (Self::SEGMENT_BYTES_MIN, Self::SEGMENT_BYTES_MAX);
            return Err(WalError::Options(format!(
                "segments must have {min} to {max} bytes in steps of 4096, not {}",
                self.segment_bytes
            )));
        }
        if self.frame_bytes_max() > self.segment_bytes / 2 {
            return Err(WalError::Options(format!(
                "payloads of {} bytes do not fit segments of {}",
                self.payload_bytes_max, self.segment_bytes
            )));
        }
        if self.spare_segments == 0 {
            let reason = "without a segment zeroed ahead the log ends with its first";
            return Err(WalError::Options(reason.to_owned()));
        }
        Ok(())
    }

    /// Largest frame.
    pub(crate) fn frame_bytes_max(&self) -> u64 {
        Shared::frame_bytes(self.payload_bytes_max as usize)
    }

    /// What a zeroed segment adds to the room: all but the header and the worst waste at its end,
    /// because a frame never crosses segments.
    pub(crate) fn segment_room(&self) -> u64 {
        self.segment_bytes - HEADER_BYTES - self.frame_bytes_max()
    }
}
