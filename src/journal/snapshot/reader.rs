//! Reading a snapshot row by row, from bytes that may be anything.

use std::sync::Arc;

use doorbuster_wal::StorageFile;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{
    BLOCK_BYTES_MAX, BLOCK_HEAD_BYTES, HeadRow, KeyState, LastRow, MAGIC, PREAMBLE_BYTES,
    ROW_VERSION, SECTION_BYTES, SNAPSHOT_VERSION, Section, SnapshotError, SnapshotHead,
    SnapshotRow, StateHash, seed_of,
};
use crate::journal::codec::bytes::Bytes;
use crate::journal::codec::take_row;

/// A snapshot being read.
pub struct SnapshotReader {
    file: Arc<dyn StorageFile>,
    name: String,
    head: SnapshotHead,
    len: u64,
    /// Where the next block begins.
    offset: u64,
    block: Vec<u8>,
    /// Where the next row begins in the block.
    at: usize,
    section: Section,
    blocks: u32,
    rows: u64,
    digest: Sha256,
    state_hash: Option<StateHash>,
}

impl SnapshotReader {
    /// Opens a snapshot and reads its head; `name` is for people.
    ///
    /// # Errors
    /// It is none, or of a newer binary; the storage's.
    pub(super) fn open(file: Arc<dyn StorageFile>, name: &str) -> Result<Self, SnapshotError> {
        let len = file.len().map_err(SnapshotError::io("measure", name))?;
        let checkpoint = doorbuster_wal::Checkpoint {
            identity: doorbuster_wal::Identity { journal_id: [0; 16], partition: 0, epoch: 0 },
            sequence: 0,
            segment: 0,
            chain: [0; 32],
        };
        let mut reader = Self {
            file,
            name: name.to_owned(),
            head: SnapshotHead { checkpoint, last_ms: None },
            len,
            offset: 0,
            block: Vec::new(),
            at: 0,
            section: Section::Head,
            blocks: 0,
            rows: 0,
            digest: Sha256::new(),
            state_hash: None,
        };
        reader.preamble()?;
        reader.next_block()?;
        if reader.section != Section::Head {
            return Err(reader.damaged("it has no head"));
        }
        reader.head = reader.take::<HeadRow>()?.into();
        match reader.at == reader.block.len() {
            true => Ok(reader),
            false => Err(reader.damaged("something stands behind the head")),
        }
    }

    /// Where it lies in its log.
    #[must_use]
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// Its file, from the log's directory on.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its length.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Bytes read so far, for progress.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.offset
    }

    /// The hash of its state, once all rows were read: it was checked then.
    #[must_use]
    pub fn state_hash(&self) -> Option<StateHash> {
        self.state_hash
    }

    /// The next row; `None` at the end, where all of it has been checked.
    ///
    /// # Errors
    /// It is damaged; the storage's.
    #[expect(clippy::should_implement_trait, reason = "an error is not the end of it")]
    pub fn next(&mut self) -> Result<Option<SnapshotRow>, SnapshotError> {
        while self.at == self.block.len() {
            if self.state_hash.is_some() {
                return Ok(None);
            }
            self.next_block()?;
            if self.section == Section::Last {
                self.end()?;
            }
        }
        self.rows += 1;
        let row = match self.section {
            Section::Selling => SnapshotRow::Selling(self.take()?),
            Section::Products => SnapshotRow::Product(Box::new(self.take()?)),
            Section::Counts => SnapshotRow::Count(self.take()?),
            Section::Holds => SnapshotRow::Hold(Box::new(self.take()?)),
            Section::Ends => SnapshotRow::End(self.take()?),
            Section::Returns => SnapshotRow::Return(self.take()?),
            Section::Keys => SnapshotRow::Key(self.take_key()?),
            Section::Head | Section::Last => unreachable!("they were read whole"),
        };
        Ok(Some(row))
    }

    fn preamble(&mut self) -> Result<(), SnapshotError> {
        let bytes = self.read(PREAMBLE_BYTES)?;
        if !bytes.starts_with(&MAGIC) {
            return Err(self.damaged("it does not begin as a snapshot does"));
        }
        let [.., v0, v1, v2, v3, z0, z1, z2, z3] = bytes.as_slice() else {
            return Err(self.damaged("it is too short"));
        };
        let found = u32::from_le_bytes([*v0, *v1, *v2, *v3]);
        if found > SNAPSHOT_VERSION {
            let (file, supported) = (self.name.clone(), SNAPSHOT_VERSION);
            return Err(SnapshotError::FromFuture { file, found, supported });
        }
        if found != SNAPSHOT_VERSION || [*z0, *z1, *z2, *z3] != [0; 4] {
            return Err(self.damaged("it does not begin as a snapshot does"));
        }
        Ok(())
    }

    /// Reads and checks the next block; its rows are not looked at.
    fn next_block(&mut self) -> Result<(), SnapshotError> {
        let head = self.read(BLOCK_HEAD_BYTES)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head.as_slice() else {
            return Err(self.damaged("it is too short"));
        };
        let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
        if !(SECTION_BYTES..=BLOCK_BYTES_MAX).contains(&length) {
            return Err(self.damaged(&format!("a block of {length} bytes")));
        }
        let block = self.read(length)?;
        let crc = crc32c::crc32c_append(seed_of(self.blocks), &block);
        if crc != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
            return Err(self.damaged("a block's checksum does not match"));
        }
        let Some(([s0, s1, v0, v1], rows)) = block.split_first_chunk() else {
            return Err(self.damaged("it is too short"));
        };
        let (number, version) = (u16::from_le_bytes([*s0, *s1]), u16::from_le_bytes([*v0, *v1]));
        let section = Section::of_number(number);
        let (Some(section), ROW_VERSION) = (section, version) else {
            return Err(self.damaged(&format!("section {number} version {version} is not known")));
        };
        let second_head = section == Section::Head && self.blocks > 0;
        if section < self.section || second_head || rows.is_empty() {
            return Err(self.damaged("its sections are not in order"));
        }
        if section.is_hashed() {
            self.digest.update(&block);
        }
        self.section = section;
        self.blocks += 1;
        (self.block, self.at) = (block, SECTION_BYTES);
        Ok(())
    }

    /// The last block was read: whether all before it was there.
    fn end(&mut self) -> Result<(), SnapshotError> {
        let before = self.blocks - 1;
        let LastRow { blocks, rows, state_hash } = self.take()?;
        let found: StateHash = self.digest.clone().finalize().into();
        if self.at != self.block.len() || self.offset != self.len {
            return Err(self.damaged("something stands behind its end"));
        }
        if (blocks, rows, state_hash) != (before, self.rows, found) {
            return Err(self.damaged("its end does not fit what stands before it"));
        }
        self.state_hash = Some(state_hash);
        Ok(())
    }

    fn take<T: DeserializeOwned>(&mut self) -> Result<T, SnapshotError> {
        let rest = self.block.get(self.at..).unwrap_or_default();
        match take_row(rest) {
            Ok((row, used)) => {
                self.at += used;
                Ok(row)
            }
            Err(reason) => Err(self.damaged(&format!("a row does not decode: {reason}"))),
        }
    }

    fn take_key(&mut self) -> Result<KeyState, SnapshotError> {
        let mut rest = Bytes(self.block.get(self.at..).unwrap_or_default());
        match KeyState::take(&mut rest) {
            Some(key) => {
                self.at = self.block.len() - rest.0.len();
                Ok(key)
            }
            // Bincode says what is wrong.
            None => self.take(),
        }
    }

    /// The next `count` bytes. Nothing is allocated for bytes that are not there.
    fn read(&mut self, count: usize) -> Result<Vec<u8>, SnapshotError> {
        if self.len.saturating_sub(self.offset) < count as u64 {
            return Err(self.damaged("it ends too early"));
        }
        let (mut bytes, mut done) = (vec![0; count], 0);
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, self.offset + done as u64) {
                Ok(0) => return Err(self.damaged("it ends too early")),
                Ok(read) => done += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SnapshotError::io("read", &self.name)(error)),
            }
        }
        self.offset += count as u64;
        Ok(bytes)
    }

    /// The error that says that its rows cannot be what they say.
    #[must_use]
    pub fn damaged_row(&self, reason: &str) -> SnapshotError {
        self.damaged(reason)
    }

    fn damaged(&self, reason: &str) -> SnapshotError {
        let (file, offset, reason) = (self.name.clone(), self.offset, reason.to_owned());
        SnapshotError::Damaged { file, offset, reason }
    }
}
