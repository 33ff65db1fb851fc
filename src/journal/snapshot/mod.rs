//! Snapshots on disk: the state after some record as sorted rows, so that a start reads only what
//! came later.
//!
//! ```text
//! magic, version │ block 0: head │ blocks of rows, section after section │ last block: counts, hash
//! ```
//!
//! schema/journal-format.md describes the bytes; the rows are `domain`'s. Streamed in blocks of about
//! 64 KiB, each with a checksum that knows its place; the state hash is the SHA-256 of all rows, so
//! the same state has the same hash, whatever way it came to be. Bytes from a disk never panic and
//! never make it allocate by an unchecked length.

mod files;
mod reader;
mod writer;

pub use files::Snapshots;
pub use reader::SnapshotReader;
pub use writer::SnapshotWriter;

use doorbuster_wal::Checkpoint;
use serde::{Deserialize, Serialize};

use super::codec::bytes::Bytes;
use super::{JournalError, JournalIdentity, KeyStamp};
use crate::domain::{CountState, EndState, LiveHoldState, ProductState, ReturnState, Sequence};

/// Directory of snapshots beside the segments.
pub(super) const SNAPSHOTS_DIR: &str = "snapshots";
/// Newest format this binary reads; the one it writes.
pub const SNAPSHOT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"DOORBSNP";
/// Magic, version, zero.
const PREAMBLE_BYTES: usize = 16;
/// Length and checksum before each block's payload.
const BLOCK_HEAD_BYTES: usize = 8;
/// Section and version of its rows before them.
const SECTION_BYTES: usize = 4;
/// A block ends with the row that reaches this.
const BLOCK_BYTES: usize = 64 << 10;
/// Largest block: the last row of one may be as large as a record.
const BLOCK_BYTES_MAX: usize = BLOCK_BYTES + super::PAYLOAD_BYTES_MAX;
/// Version of the rows of every section so far.
const ROW_VERSION: u16 = 1;

/// SHA-256 of a state's rows.
pub type StateHash = [u8; 32];

/// Where a snapshot lies in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotHead {
    /// The place between two segments after which the log goes on.
    pub checkpoint: Checkpoint,
    /// Time of the last record that has one; what had aged out then is not in it. `None`: no record
    /// had one.
    pub last_ms: Option<u64>,
}

/// A key that made a record, within 24 hours before the last one. Rows come by sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    /// What is left of it.
    pub stamp: KeyStamp,
    /// The record it made.
    pub sequence: Sequence,
    /// When that was decided.
    pub decided_at_ms: u64,
}

/// Its row by hand: what bincode makes of it, several times faster. Most rows of a snapshot in a sale
/// are keys.
impl KeyState {
    fn take(from: &mut Bytes<'_>) -> Option<Self> {
        Some(Self {
            stamp: KeyStamp::take(from)?,
            sequence: Sequence::new(from.u64()?),
            decided_at_ms: from.u64()?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.stamp.put(out);
        out.extend_from_slice(&self.sequence.get().to_le_bytes());
        out.extend_from_slice(&self.decided_at_ms.to_le_bytes());
    }
}

/// One row of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotRow {
    /// Whether selling is paused for every product; the first row, and once.
    Selling(bool),
    /// A product.
    Product(Box<ProductState>),
    /// What a buyer has of a product.
    Count(CountState),
    /// A live hold.
    Hold(Box<LiveHoldState>),
    /// A hold that has ended.
    End(EndState),
    /// What came back of an order.
    Return(ReturnState),
    /// An idempotency key.
    Key(KeyState),
}

/// Why a snapshot cannot be used. The log it was made of is not concerned.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Its bytes are not a snapshot.
    #[error("{file} at offset {offset}: {reason}")]
    Damaged {
        /// Its file, from the log's directory on.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A newer binary wrote it.
    #[error("{file} has format {found}, this binary reads up to {supported}")]
    FromFuture {
        /// Its file.
        file: String,
        /// Format of the file.
        found: u32,
        /// Newest format this binary reads.
        supported: u32,
    },
    /// The storage does not do what it should.
    #[error("cannot {operation} {file}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// What the storage says.
        source: std::io::Error,
    },
}

/// Sections in their order; the number is the one on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
enum Section {
    Head = 0,
    Selling = 1,
    Products = 2,
    Counts = 3,
    Holds = 4,
    Ends = 5,
    Returns = 6,
    Keys = 7,
    Last = 8,
}

/// The head as its block has it.
#[derive(Serialize, Deserialize)]
struct HeadRow {
    journal_id: [u8; 16],
    partition: u16,
    epoch: u32,
    sequence: u64,
    segment: u64,
    chain: [u8; 32],
    last_ms: Option<u64>,
}

/// The last block: what there must have been before it.
#[derive(Serialize, Deserialize)]
struct LastRow {
    blocks: u32,
    rows: u64,
    state_hash: StateHash,
}

impl Section {
    const ALL: [Self; 9] = [
        Self::Head,
        Self::Selling,
        Self::Products,
        Self::Counts,
        Self::Holds,
        Self::Ends,
        Self::Returns,
        Self::Keys,
        Self::Last,
    ];

    fn of_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|section| *section as u16 == number)
    }

    /// Whether the state hash covers it: all that is state.
    fn is_hashed(self) -> bool {
        !matches!(self, Self::Head | Self::Last)
    }
}

impl From<&SnapshotHead> for HeadRow {
    fn from(head: &SnapshotHead) -> Self {
        let Checkpoint { identity, sequence, segment, chain } = head.checkpoint;
        let JournalIdentity { journal_id, partition, epoch } = identity;
        Self { journal_id, partition, epoch, sequence, segment, chain, last_ms: head.last_ms }
    }
}

impl From<HeadRow> for SnapshotHead {
    fn from(row: HeadRow) -> Self {
        let HeadRow { journal_id, partition, epoch, sequence, segment, chain, last_ms } = row;
        let identity = JournalIdentity { journal_id, partition, epoch };
        Self { checkpoint: Checkpoint { identity, sequence, segment, chain }, last_ms }
    }
}

impl SnapshotError {
    fn io(operation: &'static str, file: &str) -> impl FnOnce(std::io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { operation, file, source }
    }
}

impl From<JournalError> for SnapshotError {
    fn from(error: JournalError) -> Self {
        let source = std::io::Error::other(error);
        Self::Io { operation: "read", file: "the log".to_owned(), source }
    }
}

/// What a block's checksum begins with: its number, so that blocks stay in their places.
fn seed_of(block: u32) -> u32 {
    crc32c::crc32c(&block.to_le_bytes())
}

/// The file of a snapshot.
fn file_name(sequence: Sequence) -> String {
    format!("snapshot-{:020}.bin", sequence.get())
}

/// The snapshot of a file, if it is one.
fn sequence_of(file: &str) -> Option<Sequence> {
    let digits = file.strip_prefix("snapshot-")?.strip_suffix(".bin")?;
    let sequence = Sequence::new(digits.parse().ok()?);
    (file_name(sequence) == file).then_some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::codec::{put_row, take_row};

    #[test]
    fn key_by_hand_is_the_key_of_bincode() {
        let stamp = KeyStamp { hash: std::array::from_fn(|at| at as u8), fingerprint: [0xfe; 8] };
        let key =
            KeyState { stamp, sequence: Sequence::new(1 << 40), decided_at_ms: 1_700_000_000_007 };
        let (mut row, mut by_hand) = (Vec::new(), Vec::new());
        put_row(&key, &mut row);
        key.put(&mut by_hand);
        assert_eq!(by_hand, row);
        assert_eq!(take_row(&row), Ok((key, 40)));
        assert_eq!(KeyState::take(&mut Bytes(&by_hand)), Some(key));
    }
}
