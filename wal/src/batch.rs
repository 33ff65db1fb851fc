//! Frames queued for one commit: encoded back to back, sealed by the writer.

use crate::frame;

/// Records on their way to the disk. Reused between commits: once warm it does not allocate.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    first: Option<u64>,
    last: Option<u64>,
}

impl Batch {
    /// Nothing queued.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues a record.
    ///
    /// # Panics
    /// When `sequence` is not the next one, or the payload is empty.
    pub fn push(&mut self, sequence: u64, payload: &[u8]) {
        if let Some(last) = self.last {
            assert_eq!(sequence, last + 1, "sequences have no gaps");
        }
        frame::put(&mut self.bytes, sequence, payload);
        self.first.get_or_insert(sequence);
        self.last = Some(sequence);
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of all frames.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Sequence of the first record.
    #[must_use]
    pub fn first_sequence(&self) -> Option<u64> {
        self.first
    }

    /// Sequence of the last record.
    #[must_use]
    pub fn last_sequence(&self) -> Option<u64> {
        self.last
    }

    /// Forgets what is queued, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.first, self.last) = (None, None);
    }

    pub(crate) fn frames_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
