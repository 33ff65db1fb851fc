//! Reading a journal while it is written: by sequence, and as a tail.
//!
//! Sees only what is durable. Cost of a read by sequence: one file read of at most 64 KiB.

use std::sync::Arc;

use doorbuster_wal::{Entry, Shared};

use super::{DecodeError, JournalError, JournalScan, Payload, Places, Position, Snapshots, decode};
use crate::domain::Sequence;

/// Which journal this is and who owns it.
pub use doorbuster_wal::Identity as JournalIdentity;

/// Reads durable records; cheap to clone, safe on any thread.
#[derive(Clone)]
pub struct JournalReader {
    shared: Arc<Shared>,
}

/// Why a durable record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A frame is sound, its payload is not.
    #[error("record {sequence}: {error}")]
    Decode {
        /// Which.
        sequence: u64,
        /// What is wrong.
        error: DecodeError,
    },
}

/// The segment that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInUse {
    /// Its number.
    pub number: u64,
    /// Its full size.
    pub bytes: u64,
}

/// One durable record of a tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tailed {
    /// Its place.
    pub sequence: Sequence,
    /// crc32c of its payload: the same wherever the record is written again.
    pub checksum: u32,
    /// What it holds.
    pub payload: Payload,
    /// Bytes of its payload.
    pub bytes: usize,
}

/// Durable records from a place on, as they come.
pub struct JournalTail {
    tail: doorbuster_wal::Tail,
}

/// Room for records in zeroed segments: what an admission permit holds of the disk.
#[derive(Clone)]
pub struct Room {
    shared: Arc<Shared>,
}

impl JournalReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Which journal this is.
    #[must_use]
    pub fn identity(&self) -> JournalIdentity {
        self.shared.identity()
    }

    /// Highest sequence on stable storage.
    #[must_use]
    pub fn durable(&self) -> Sequence {
        Sequence::new(self.shared.durable_sequence())
    }

    /// The places of its records, as the world outside sees them.
    #[must_use]
    pub fn places(&self) -> Places {
        Places::new(self.identity(), self.shared.epochs().clone())
    }

    /// The place of a record in this journal, as the world outside sees it.
    #[must_use]
    pub fn position(&self, sequence: Sequence) -> Position {
        let JournalIdentity { partition, epoch, .. } = self.identity();
        let epoch = self.shared.epochs().of(sequence.get()).unwrap_or(epoch);
        Position { partition, epoch, sequence }
    }

    /// The durable record at `sequence`.
    ///
    /// # Errors
    /// The log cannot be read or the record does not decode.
    pub fn read(&self, sequence: Sequence) -> Result<Option<Payload>, ReadError> {
        let Some(bytes) = self.shared.read(sequence.get())? else { return Ok(None) };
        let decoded = decode(&bytes);
        let sequence = sequence.get();
        decoded.map(Some).map_err(|error| ReadError::Decode { sequence, error })
    }

    /// The durable record at a position another part of the world kept.
    ///
    /// `None` also for another partition or epoch: that record is not here.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_at(&self, position: Position) -> Result<Option<Payload>, ReadError> {
        if self.position(position.sequence) != position {
            return Ok(None);
        }
        self.read(position.sequence)
    }

    /// Durable records from `from` on.
    #[must_use]
    pub fn tail(&self, from: Sequence) -> JournalTail {
        JournalTail { tail: self.shared.tail(from.get()) }
    }

    /// The log's snapshots.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::of_log(Arc::clone(self.shared.storage()))
    }

    /// The log read from its files, as a tool beside this process would.
    ///
    /// # Errors
    /// A header is damaged, or the log cannot be read.
    pub fn scan(&self) -> Result<JournalScan, JournalError> {
        JournalScan::open(Arc::clone(self.shared.storage()))
    }

    /// The segment that is written.
    #[must_use]
    pub fn last_segment(&self) -> SegmentInUse {
        let header = self.shared.last_header();
        SegmentInUse { number: header.segment, bytes: header.segment_bytes }
    }

    /// Number of the first segment that is still there.
    #[must_use]
    pub fn first_segment(&self) -> u64 {
        self.shared.first_segment()
    }

    /// Last record of a closed segment; `None`: it is not closed, or not of this log.
    #[must_use]
    pub fn end_of_segment(&self, segment: u64) -> Option<Sequence> {
        self.shared.end_of(segment).map(|next| Sequence::new(next - 1))
    }

    /// Moves a closed segment into the archive; `false`: it is there already.
    ///
    /// # Errors
    /// It is damaged and stays where it is, or the storage fails.
    pub fn archive(&self, segment: u64) -> Result<bool, JournalError> {
        self.shared.archive(segment)
    }

    /// The room of this journal.
    #[must_use]
    pub fn room(&self) -> Room {
        Room { shared: Arc::clone(&self.shared) }
    }
}

impl JournalTail {
    /// The next durable record; `None`: nothing more is durable yet.
    ///
    /// # Errors
    /// The log cannot be read or the record does not decode.
    #[expect(clippy::should_implement_trait, reason = "it ends for now, not for good")]
    pub fn next(&mut self) -> Result<Option<Tailed>, ReadError> {
        self.tail.next()?.map(Tailed::of).transpose()
    }
}

impl Tailed {
    /// The record of an entry.
    pub(super) fn of(entry: Entry<'_>) -> Result<Self, ReadError> {
        let sequence = entry.sequence;
        let payload =
            decode(entry.payload).map_err(|error| ReadError::Decode { sequence, error })?;
        Ok(Self {
            sequence: Sequence::new(sequence),
            checksum: crc32c::crc32c(entry.payload),
            payload,
            bytes: entry.payload.len(),
        })
    }
}

impl Room {
    /// Takes room for a record whose payload has at most `payload_bytes`; gives the bytes taken.
    /// `None`: the disk is low, nothing was taken.
    #[must_use]
    pub fn try_reserve(&self, payload_bytes: usize) -> Option<u64> {
        let bytes = Shared::frame_bytes(payload_bytes);
        self.shared.try_reserve(bytes).then_some(bytes)
    }

    /// Gives back `bytes` that were taken and not written.
    pub fn release(&self, bytes: u64) {
        self.shared.release(bytes);
    }

    /// What a record with this payload takes.
    #[must_use]
    pub fn bytes_of(payload: &[u8]) -> u64 {
        Shared::frame_bytes(payload.len())
    }

    /// Room left.
    #[must_use]
    pub fn bytes_left(&self) -> i64 {
        self.shared.room_bytes()
    }
}
