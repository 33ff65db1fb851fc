//! The journal: every decision, durable before anyone hears of it.
//!
//! ```text
//! partition ── append(payload, effect) ──► queue ──► writer: one write, one sync ──► disk
//!                                                       └──► completion(effects in order)
//! ```
//!
//! `record` says what a decision's envelope holds, `codec` which bytes that is
//! (schema/journal-format.md), `local` keeps the queue and the writer over `doorbuster_wal`.
//! A replicated journal will stand behind the same [`Journal`] trait: no file name, offset or
//! path leaks above this module; a place outside it is a [`Position`].
//! Never here: business rules, actors, HTTP, SQL.

mod codec;
mod epoch;
mod files;
mod local;
mod opening;
mod peek;
mod position;
mod reader;
mod record;
mod scan;
mod search;
mod snapshot;

pub use codec::{
    DecodeError, PAYLOAD_BYTES_MAX, decode, encode, encode_record, payload_bytes_bound,
};
pub use epoch::restored_epoch;
pub use files::{FileTail, JournalFiles};
pub use local::{Completion, LocalJournal, Queued, Stepped, Writer, local_journal};
pub use opening::{OpenLog, Opening, Preallocator};
pub use peek::{Peek, peek, undecoded};
pub use position::{HoldId, OrderId, Places, Position, PositionError};
pub use reader::{
    JournalIdentity, JournalReader, JournalTail, ReadError, Room, SegmentInUse, Tailed,
};
pub use record::{Envelope, KeyStamp, Kind, Payload, Record, Started};
pub use scan::{JournalRecords, JournalScan};
pub use snapshot::{
    KeyState, SNAPSHOT_VERSION, SnapshotError, SnapshotHead, SnapshotReader, SnapshotRow,
    SnapshotWriter, Snapshots, StateHash,
};

/// A record as its bytes, and where it stands.
pub use doorbuster_wal::Entry;

/// A place between two segments, and what is certain there of all before it.
pub use doorbuster_wal::Checkpoint;
/// What reading a log found.
pub use doorbuster_wal::Replayed;

/// Bytes that go to the log's disk at once, at most, of what is written beside it.
pub use doorbuster_wal::PIECE_BYTES;

/// Why the log cannot be read or written: see `doorbuster_wal::WalError`.
pub use doorbuster_wal::WalError as JournalError;

/// Mistakes to be found, each `false` but in a build for campaigns: see `doorbuster_wal::Planted`.
pub use doorbuster_wal::{Planted, planted};

/// Storage with faults, for tests that step a journal by hand.
#[cfg(test)]
pub use doorbuster_wal::{Crash, Entry as LogEntry, MemStorage, Options as LogOptions};

use crate::domain::Sequence;

/// Where decided records go. One appender: the partition.
pub trait Journal<E> {
    /// The place the next record will have; it is kept for it until [`Self::append`].
    fn next_sequence(&mut self) -> Sequence;

    /// Queues a decided record; `effect` is completed once it is durable.
    ///
    /// Cannot fail: whoever decided holds room for it. After it there is only durable, or the
    /// process dies. Once the journal has failed the effect is dropped: nothing is written any
    /// more, so what it stands for does not happen.
    fn append(&mut self, payload: &[u8], effect: E) -> Sequence;

    /// Queues an effect that rests on what was appended before it.
    ///
    /// Gives the effect back when everything is durable already: complete it at once. Once the
    /// journal has failed the effect is dropped, as what it rests on may not be durable.
    fn barrier(&mut self, effect: E) -> Option<E>;
}
