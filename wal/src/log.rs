//! The writer: one write and one sync per batch, owned by one thread.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::batch::Batch;
use crate::frame;
use crate::header::{HEADER_BYTES, Header, file_name};
use crate::planted::{Planted, planted};
use crate::scan::INDEX_EVERY_BYTES;
use crate::shared::{IndexEntry, Shared};
use crate::spare;
use crate::storage::StorageFile;
use crate::{Identity, WalError};

/// A log that takes records.
pub struct Log {
    shared: Arc<Shared>,
    header: Header,
    seed: u32,
    file: Arc<dyn StorageFile>,
    /// Over header and frames so far: the next header's chain.
    digest: Sha256,
    /// Where the next frame goes.
    offset: u64,
    next_sequence: u64,
    indexed_offset: u64,
    poisoned: bool,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed {
    /// Bytes written.
    pub bytes: u64,
    /// Syncs it took: one, and two more for each change of segment.
    pub syncs: u32,
    /// Time in the data's sync.
    pub sync_ns: u64,
}

impl Log {
    pub(crate) fn new(
        shared: Arc<Shared>,
        header: Header,
        file: Arc<dyn StorageFile>,
        digest: Sha256,
        offset: u64,
    ) -> Self {
        let next_sequence = shared.durable_sequence() + 1;
        let (seed, indexed_offset) = (header.seed(), HEADER_BYTES);
        let poisoned = false;
        Self { shared, header, seed, file, digest, offset, next_sequence, indexed_offset, poisoned }
    }

    /// What other threads see.
    #[must_use]
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Whose log it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.header.identity
    }

    /// Sequence of the next record.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Writes and syncs a batch; it is durable when this returns.
    ///
    /// A batch that does not fit the rest of the segment goes on in a spare, as two batches.
    ///
    /// # Errors
    /// Final: what became of the batch only the next start can tell, and nothing is written any
    /// more.
    ///
    /// # Panics
    /// When the batch does not begin at the next sequence, or its bytes were not reserved.
    pub fn commit(&mut self, batch: &mut Batch) -> Result<Committed, WalError> {
        if self.poisoned {
            return Err(WalError::Poisoned);
        }
        let result = self.write_all(batch);
        if result.is_err() {
            self.poisoned = true;
            self.shared.set_failed();
        }
        result
    }

    fn write_all(&mut self, batch: &mut Batch) -> Result<Committed, WalError> {
        let mut committed = Committed::default();
        let Some(first) = batch.first_sequence() else {
            return Ok(committed);
        };
        assert_eq!(first, self.next_sequence, "sequences have no gaps");
        let mut rest = batch.frames_mut();
        while !rest.is_empty() {
            let fits = self.fitting(rest);
            if fits == 0 {
                self.next_segment()?;
                committed.syncs += 2;
                continue;
            }
            let (now, later) = rest.split_at_mut(fits);
            self.write(now, &mut committed)?;
            rest = later;
        }
        assert_eq!(batch.last_sequence().map(|last| last + 1), Some(self.next_sequence));
        Ok(committed)
    }

    /// Bytes of the leading frames that fit the segment.
    fn fitting(&self, frames: &[u8]) -> usize {
        let left = usize::try_from(self.header.segment_bytes - self.offset).unwrap_or(usize::MAX);
        if frames.len() <= left {
            return frames.len();
        }
        let mut fits = 0;
        while let Some(rest) = frames.get(fits..).filter(|rest| !rest.is_empty()) {
            let next = frame::own_frame_bytes(rest);
            if fits + next > left {
                break;
            }
            fits += next;
        }
        fits
    }

    /// One write, one sync, then the watermark moves.
    fn write(&mut self, frames: &mut [u8], committed: &mut Committed) -> Result<(), WalError> {
        let count = self.seal(frames);
        let name = || file_name(self.header.segment);
        let result = self.file.write_all_at(frames, self.offset);
        result.map_err(|error| WalError::io("write", &name())(error))?;
        let before = now();
        let mut result = self.file.sync_data();
        if planted(Planted::IgnoreSyncError) {
            result = Ok(());
        }
        if planted(Planted::RetrySync) && result.is_err() {
            result = self.file.sync_data();
        }
        result.map_err(|error| WalError::io("sync", &name())(error))?;
        committed.sync_ns += u64::try_from(before.elapsed().as_nanos()).unwrap_or(u64::MAX);
        committed.syncs += 1;
        committed.bytes += frames.len() as u64;
        if self.offset >= self.indexed_offset + INDEX_EVERY_BYTES {
            let (segment, offset) = (self.header.segment, self.offset);
            self.shared.add_index(IndexEntry { sequence: self.next_sequence, segment, offset });
            self.indexed_offset = offset;
        }
        self.digest.update(&*frames);
        self.offset += frames.len() as u64;
        self.next_sequence += count;
        self.shared.set_durable(self.next_sequence - 1);
        Ok(())
    }

    /// Seals every frame with what is durable before this write; gives how many there are.
    fn seal(&self, frames: &mut [u8]) -> u64 {
        let mut durable_upto = self.next_sequence - 1;
        let bytes_max = self.shared.options.frame_bytes_max();
        let (mut rest, mut count) = (frames, 0);
        while !rest.is_empty() {
            let (this, others) = rest.split_at_mut(frame::own_frame_bytes(rest));
            // The room leaves so much at the end of each segment, and no more.
            assert!(this.len() as u64 <= bytes_max, "a frame of {} bytes", this.len());
            if planted(Planted::ClaimUnsynced) {
                durable_upto = self.next_sequence + count;
            }
            frame::seal(this, durable_upto, self.seed);
            rest = others;
            count += 1;
        }
        count
    }

    /// Takes a spare into use: header written and synced, renamed, directory synced, only then a
    /// batch.
    fn next_segment(&mut self) -> Result<(), WalError> {
        let spare = self.shared.spares.take().expect("reserved room has a zeroed segment");
        let header = Header {
            segment: self.header.segment + 1,
            first_sequence: self.next_sequence,
            segment_bytes: self.shared.options.segment_bytes,
            salt: spare::salt()?,
            durable_upto: self.next_sequence - 1,
            chain: self.digest.clone().finalize().into(),
            identity: self.header.identity,
        };
        let name = file_name(header.segment);
        let io = |operation| WalError::io(operation, &name);
        spare.file.write_all_at(&header.encode(), 0).map_err(io("write"))?;
        if !planted(Planted::RenameBeforeHeaderSync) {
            spare.file.sync_data().map_err(io("sync"))?;
        }
        self.shared.storage.rename(&spare.name, &name).map_err(io("rename"))?;
        if !planted(Planted::SkipDirectorySync) {
            self.shared.storage.sync_dir().map_err(WalError::io("sync", "the directory"))?;
        }
        let old = file_name(self.header.segment);
        self.file.set_len(self.offset).map_err(WalError::io("cut", &old))?;
        self.shared.settle_room(self.offset - HEADER_BYTES);
        self.shared.add_segment(header);
        self.seed = header.seed();
        self.digest = header.digest();
        self.header = header;
        self.file = spare.file;
        self.offset = HEADER_BYTES;
        self.indexed_offset = HEADER_BYTES;
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "measures a sync; decides nothing")]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}
