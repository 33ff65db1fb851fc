//! Where a pruned log begins: what was deleted is named, so that it is not taken for lost.
//!
//! `pruned-%010d.bin` names the first segment that is kept, with what its header must say of those
//! before. It is durable before the first file is deleted; the highest one counts.

use std::sync::Arc;

use crate::WalError;
use crate::archive::{ARCHIVE_DIR, archived_name, archived_path, archived_segment_of};
use crate::header::Header;
use crate::storage::{Storage, read_full};

const MAGIC: [u8; 8] = *b"DOORBPRN";
const VERSION: u32 = 1;
const BYTES: usize = 88;
/// The file in which a new beginning is written.
pub(crate) const WRITING: &str = "pruned.tmp";

/// The segment a pruned log begins with, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pruned {
    journal_id: [u8; 16],
    partition: u16,
    pub(crate) segment: u64,
    pub(crate) first_sequence: u64,
    chain: [u8; 32],
}

fn file_name(segment: u64) -> String {
    format!("pruned-{segment:010}.bin")
}

fn segment_of(file: &str) -> Option<u64> {
    let number = file.strip_prefix("pruned-")?.strip_suffix(".bin")?.parse().ok()?;
    (number > 0 && file_name(number) == file).then_some(number)
}

impl Pruned {
    fn before(header: &Header) -> Self {
        Self {
            journal_id: header.identity.journal_id,
            partition: header.identity.partition,
            segment: header.segment,
            first_sequence: header.first_sequence,
            chain: header.chain,
        }
    }

    /// Where a log begins that was pruned; `None`: with its first segment.
    ///
    /// # Errors
    /// `Corrupt`, `FormatFromFuture`, `Io`.
    pub(crate) fn read(storage: &dyn Storage) -> Result<Option<Self>, WalError> {
        let names = storage.list().map_err(WalError::io("list", "the directory"))?;
        let Some(segment) = names.iter().filter_map(|name| segment_of(name)).max() else {
            return Ok(None);
        };
        let name = file_name(segment);
        let file = storage.open_read(&name).map_err(WalError::io("open", &name))?;
        let mut bytes = [0; BYTES + 1];
        let read = read_full(&*file, &mut bytes, 0).map_err(WalError::io("read", &name))?;
        let pruned = Self::decode(bytes.get(..read).unwrap_or_default(), &name)?;
        match pruned.segment == segment {
            true => Ok(Some(pruned)),
            false => Err(corrupt(&name, format!("it speaks of segment {}", pruned.segment))),
        }
    }

    /// Whether a header is the one that the log begins with.
    pub(crate) fn is(&self, header: &Header) -> bool {
        *self == Self::before(header)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.journal_id);
        bytes.extend_from_slice(&self.partition.to_le_bytes());
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.first_sequence.to_le_bytes());
        bytes.extend_from_slice(&self.chain);
        assert_eq!(bytes.len(), BYTES, "the layout of schema/journal-format.md");
        let crc = crc32c::crc32c(&bytes).to_le_bytes();
        bytes.iter_mut().skip(12).zip(crc).for_each(|(to, from)| *to = from);
        bytes
    }

    fn decode(bytes: &[u8], file: &str) -> Result<Self, WalError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(corrupt(file, "it does not begin as it should".to_owned()));
        }
        let number = |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
        let number = |at: usize| number(at).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let pruned = Self {
            journal_id: bytes.get(16..).and_then(|b| b.first_chunk()).copied().unwrap_or_default(),
            partition: number(32) as u16,
            segment: number(40),
            first_sequence: number(48),
            chain: bytes.get(56..).and_then(|b| b.first_chunk()).copied().unwrap_or_default(),
        };
        let found = number(8) as u32;
        if found > VERSION {
            let (file, supported) = (file.to_owned(), VERSION);
            return Err(WalError::FormatFromFuture { file, found, supported });
        }
        // One form only: what it says, written again, is what is there.
        match pruned.encode() == bytes {
            true => Ok(pruned),
            false => Err(corrupt(file, "its checksum does not match".to_owned())),
        }
    }
}

/// What deleting the beginning of a log came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    /// Segments.
    pub segments: u64,
    /// Bytes of their files.
    pub bytes: u64,
}

/// Deletes the archived segments before the one of `first`, which says from now on where the log
/// begins. Nobody may write the log meanwhile.
pub(crate) fn prune(storage: &dyn Storage, first: &Header) -> Result<Deleted, WalError> {
    let before = Pruned::read(storage)?;
    if before.is_none_or(|before| before.segment < first.segment) {
        write(storage, first)?;
    }
    delete_before(storage, first.segment)
}

/// Deletes what a pruning that was interrupted has left. Nobody may write the log meanwhile.
pub(crate) fn finish(storage: &dyn Storage) -> Result<Deleted, WalError> {
    match Pruned::read(storage)? {
        Some(pruned) => delete_before(storage, pruned.segment),
        None => Ok(Deleted::default()),
    }
}

/// Says durably that the log begins with this segment.
fn write(storage: &dyn Storage, first: &Header) -> Result<(), WalError> {
    let (name, bytes) = (file_name(first.segment), Pruned::before(first).encode());
    let file = storage.create(WRITING).map_err(WalError::io("create", WRITING))?;
    file.write_all_at(&bytes, 0).map_err(WalError::io("write", WRITING))?;
    file.sync_data().map_err(WalError::io("sync", WRITING))?;
    storage.rename(WRITING, &name).map_err(WalError::io("rename", WRITING))?;
    storage.sync_dir().map_err(WalError::io("sync", "the directory"))
}

/// A copy that begins with this segment says so, unless it is a log's first.
///
/// # Errors
/// The storage's.
pub(crate) fn copy_beginning(storage: &dyn Storage, first: &Header) -> Result<(), WalError> {
    match first.segment {
        1 => Ok(()),
        _ => write(storage, first),
    }
}

/// Removes what says where a log begins, from a directory without a log.
///
/// # Errors
/// The storage's.
pub(crate) fn remove(storage: &dyn Storage) -> Result<(), WalError> {
    for name in storage.list().map_err(WalError::io("list", "the directory"))? {
        if segment_of(&name).is_some() || name == WRITING {
            storage.remove(&name).map_err(WalError::io("remove", &name))?;
        }
    }
    storage.sync_dir().map_err(WalError::io("sync", "the directory"))
}

/// Deletes what a pruned log no longer needs: a crash may have left some of it.
fn delete_before(storage: &dyn Storage, segment: u64) -> Result<Deleted, WalError> {
    let mut deleted = Deleted::default();
    let archive = storage.dir(ARCHIVE_DIR).map_err(WalError::io("open", ARCHIVE_DIR))?;
    if let Some(archive) = archive {
        let names = archive.list().map_err(WalError::io("list", ARCHIVE_DIR))?;
        for number in names.iter().filter_map(|name| archived_segment_of(name)) {
            if number < segment {
                delete(&archive, number, &mut deleted)?;
            }
        }
        archive.sync_dir().map_err(WalError::io("sync", ARCHIVE_DIR))?;
    }
    for name in storage.list().map_err(WalError::io("list", "the directory"))? {
        if segment_of(&name).is_some_and(|number| number < segment) {
            storage.remove(&name).map_err(WalError::io("remove", &name))?;
        }
    }
    Ok(deleted)
}

fn delete(archive: &Arc<dyn Storage>, segment: u64, deleted: &mut Deleted) -> Result<(), WalError> {
    let (name, path) = (archived_name(segment), archived_path(segment));
    let file = archive.open_read(&name).map_err(WalError::io("open", &path))?;
    deleted.bytes += file.len().map_err(WalError::io("measure", &path))?;
    deleted.segments += 1;
    archive.remove(&name).map_err(WalError::io("remove", &path))
}

fn corrupt(file: &str, reason: String) -> WalError {
    let (segment, file) = (segment_of(file).unwrap_or(0), file.to_owned());
    WalError::Corrupt { segment, file, offset: 0, sequence: None, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_reads_back_and_no_changed_bit_and_no_cut_passes() {
        let (journal_id, chain) = ([3; 16], [5; 32]);
        let pruned = Pruned { journal_id, partition: 1, segment: 9, first_sequence: 77, chain };
        let (bytes, name) = (pruned.encode(), file_name(9));
        assert_eq!(Pruned::decode(&bytes, &name).unwrap(), pruned);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Pruned::decode(&flipped, &name).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(Pruned::decode(&bytes[..cut], &name).is_err(), "cut at {cut}");
        }
    }
}
