//! Writing a snapshot row by row, into a file or only for its hash.

use std::sync::Arc;

use doorbuster_wal::{PIECE_BYTES, StorageFile};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    BLOCK_BYTES, BLOCK_HEAD_BYTES, HeadRow, LastRow, MAGIC, PREAMBLE_BYTES, ROW_VERSION,
    SECTION_BYTES, SNAPSHOT_VERSION, Section, SnapshotError, SnapshotHead, SnapshotRow, StateHash,
    seed_of,
};
use crate::journal::codec::put_row;

/// A snapshot being written.
pub struct SnapshotWriter {
    file: Option<Out>,
    section: Section,
    /// The block being filled: head, section, rows.
    block: Vec<u8>,
    blocks: u32,
    rows: u64,
    digest: Sha256,
}

struct Out {
    file: Arc<dyn StorageFile>,
    name: String,
    offset: u64,
    synced_upto: u64,
}

impl SnapshotWriter {
    /// Writes nothing; only the hash is asked for.
    #[must_use]
    pub fn of_hash() -> Self {
        Self::new(None)
    }

    /// Writes into an empty file; `name` is for people.
    ///
    /// # Errors
    /// The storage's.
    pub(super) fn begin(
        file: Arc<dyn StorageFile>,
        name: &str,
        head: &SnapshotHead,
    ) -> Result<Self, SnapshotError> {
        let mut preamble = Vec::with_capacity(PREAMBLE_BYTES);
        preamble.extend_from_slice(&MAGIC);
        preamble.extend_from_slice(&SNAPSHOT_VERSION.to_le_bytes());
        preamble.extend_from_slice(&[0; 4]);
        file.write_all_at(&preamble, 0).map_err(SnapshotError::io("write", name))?;
        let offset = PREAMBLE_BYTES as u64;
        let mut writer =
            Self::new(Some(Out { file, name: name.to_owned(), offset, synced_upto: 0 }));
        put_row(&HeadRow::from(head), &mut writer.block);
        writer.end_block()?;
        Ok(writer)
    }

    fn new(file: Option<Out>) -> Self {
        let section = Section::Head;
        let block = begun(section);
        Self { file, section, block, blocks: 0, rows: 0, digest: Sha256::new() }
    }

    /// Takes the next row. Rows come section by section.
    ///
    /// # Errors
    /// The storage's.
    ///
    /// # Panics
    /// When a row comes after those of a later section.
    pub fn row(&mut self, row: &SnapshotRow) -> Result<(), SnapshotError> {
        match row {
            SnapshotRow::Selling(paused) => self.put(Section::Selling, paused),
            SnapshotRow::Product(row) => self.put(Section::Products, row),
            SnapshotRow::Count(row) => self.put(Section::Counts, row),
            SnapshotRow::Hold(row) => self.put(Section::Holds, row),
            SnapshotRow::End(row) => self.put(Section::Ends, row),
            SnapshotRow::Return(row) => self.put(Section::Returns, row),
            SnapshotRow::Key(row) => {
                row.put(self.next_row(Section::Keys)?);
                Ok(())
            }
        }
    }

    fn put<T: Serialize>(&mut self, section: Section, row: &T) -> Result<(), SnapshotError> {
        put_row(row, self.next_row(section)?);
        Ok(())
    }

    /// The block that takes the next row, of this section.
    fn next_row(&mut self, section: Section) -> Result<&mut Vec<u8>, SnapshotError> {
        assert!(section >= self.section, "{section:?} after {:?}", self.section);
        if section != self.section || self.block.len() >= BLOCK_HEAD_BYTES + BLOCK_BYTES {
            self.end_block()?;
            self.section = section;
            self.block = begun(section);
        }
        self.rows += 1;
        Ok(&mut self.block)
    }

    /// Ends it; its end is not synced yet.
    ///
    /// # Errors
    /// The storage's.
    pub fn finish(mut self) -> Result<StateHash, SnapshotError> {
        self.end_block()?;
        let state_hash = self.digest.clone().finalize().into();
        (self.section, self.block) = (Section::Last, begun(Section::Last));
        let last = LastRow { blocks: self.blocks, rows: self.rows, state_hash };
        put_row(&last, &mut self.block);
        self.end_block()?;
        Ok(state_hash)
    }

    /// Writes the block, if there is anything in it.
    fn end_block(&mut self) -> Result<(), SnapshotError> {
        let payload = self.block.get(BLOCK_HEAD_BYTES..).unwrap_or_default();
        if payload.len() <= SECTION_BYTES {
            return Ok(());
        }
        if self.section.is_hashed() {
            self.digest.update(payload);
        }
        let length = u32::try_from(payload.len()).expect("a block is small");
        let crc = crc32c::crc32c_append(seed_of(self.blocks), payload);
        let head = [length.to_le_bytes(), crc.to_le_bytes()].concat();
        self.block.iter_mut().zip(head).for_each(|(to, from)| *to = from);
        if let Some(out) = &mut self.file {
            out.write(&self.block)?;
        }
        self.blocks += 1;
        self.block.truncate(BLOCK_HEAD_BYTES + SECTION_BYTES);
        Ok(())
    }
}

impl Out {
    /// Writes a block, and syncs what has come together to a piece.
    fn write(&mut self, block: &[u8]) -> Result<(), SnapshotError> {
        let Self { file, name, offset, synced_upto } = self;
        file.write_all_at(block, *offset).map_err(SnapshotError::io("write", name))?;
        *offset += block.len() as u64;
        if *offset - *synced_upto >= PIECE_BYTES as u64 {
            file.sync_data().map_err(SnapshotError::io("sync", name))?;
            *synced_upto = *offset;
        }
        Ok(())
    }
}

/// A block without a row.
fn begun(section: Section) -> Vec<u8> {
    let mut block = vec![0; BLOCK_HEAD_BYTES];
    block.extend_from_slice(&(section as u16).to_le_bytes());
    block.extend_from_slice(&ROW_VERSION.to_le_bytes());
    block
}
