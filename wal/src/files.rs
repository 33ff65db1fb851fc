//! Where the segments of a log lie: beside each other, or compressed in the archive.
//!
//! A segment that is being archived may be in both places for a moment; its own file comes first.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::WalError;
use crate::archive::{
    ARCHIVE_DIR, ArchivedFile, archived_name, archived_path, archived_segment_of,
};
use crate::header::{Header, file_name, segment_of};
use crate::scan::SegmentReport;
use crate::segment::Segment;
use crate::storage::{Storage, StorageFile, read_full};

/// What is unpacked at once where a file is damaged.
const PART_BYTES: usize = 4 << 10;

/// A segment's file, opened for reading as if it had never been compressed.
pub(crate) struct OpenSegment {
    pub(crate) file: Arc<dyn StorageFile>,
    /// Its path from the log's directory on, for people.
    pub(crate) name: String,
    pub(crate) is_archived: bool,
    /// Length of its file where it is compressed.
    pub(crate) stored_bytes: Option<u64>,
}

/// Numbers of all segments in both places, in order.
pub(crate) fn list(storage: &dyn Storage) -> Result<Vec<u64>, WalError> {
    let names = storage.list().map_err(WalError::io("list", "the directory"))?;
    let mut numbers: BTreeSet<u64> = names.iter().filter_map(|name| segment_of(name)).collect();
    let archive = storage.dir(ARCHIVE_DIR).map_err(WalError::io("open", ARCHIVE_DIR))?;
    if let Some(archive) = archive {
        let names = archive.list().map_err(WalError::io("list", ARCHIVE_DIR))?;
        numbers.extend(names.iter().filter_map(|name| archived_segment_of(name)));
    }
    Ok(numbers.into_iter().collect())
}

/// Opens a segment wherever it lies.
///
/// # Errors
/// `Io`; `Corrupt`: its archived file is no archive.
pub(crate) fn open(storage: &dyn Storage, segment: u64) -> Result<OpenSegment, WalError> {
    let name = file_name(segment);
    let missing = match storage.open_read(&name) {
        Ok(file) => {
            return Ok(OpenSegment { file, name, is_archived: false, stored_bytes: None });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => error,
        Err(error) => return Err(WalError::io("open", &name)(error)),
    };
    let path = archived_path(segment);
    let archive = storage.dir(ARCHIVE_DIR).map_err(WalError::io("open", ARCHIVE_DIR))?;
    // Of a segment that is nowhere, its own place is told.
    let archive = archive.ok_or_else(|| WalError::io("open", &name)(missing))?;
    let packed = archive.open_read(&archived_name(segment)).map_err(WalError::io("open", &path))?;
    let stored_bytes = packed.len().map_err(WalError::io("measure", &path))?;
    let file = ArchivedFile::open(packed).map_err(|error| unreadable(segment, &path, error))?;
    let (file, stored_bytes) = (Arc::new(file), Some(stored_bytes));
    Ok(OpenSegment { file, name: path, is_archived: true, stored_bytes })
}

impl OpenSegment {
    /// What reading it to its end found.
    pub(crate) fn report(
        &self,
        header: &Header,
        last_sequence: u64,
        used_bytes: u64,
        file_bytes: u64,
        digest: [u8; 32],
    ) -> SegmentReport {
        SegmentReport {
            header: *header,
            file: self.name.clone(),
            is_archived: self.is_archived,
            last_sequence,
            frames: last_sequence + 1 - header.first_sequence,
            used_bytes,
            file_bytes,
            stored_bytes: self.stored_bytes.unwrap_or(file_bytes),
            digest,
        }
    }

    /// Reads it whole into `buffer`: at most as long as its header says.
    pub(crate) fn read(&self, header: &Header, buffer: &mut Vec<u8>) -> Result<(), WalError> {
        let unreadable = |error| unreadable_frames(&*self.file, &self.name, header, error);
        let len = self.file.len().map_err(unreadable)?.min(header.segment_bytes);
        buffer.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        let read = read_full(&*self.file, buffer, 0).map_err(unreadable)?;
        buffer.truncate(read);
        Ok(())
    }
}

/// As [`unreadable`], where the header is sound: with the first record that cannot be read.
pub(crate) fn unreadable_frames(
    file: &dyn StorageFile,
    name: &str,
    header: &Header,
    error: io::Error,
) -> WalError {
    let error = unreadable(header.segment, name, error);
    let WalError::Corrupt { reason, .. } = error else { return error };
    let (mut bytes, mut part) = (Vec::new(), vec![0; PART_BYTES]);
    // Whole parts of it unpack up to the damage; no segment is longer than its header says.
    while (bytes.len() as u64) < header.segment_bytes
        && let Ok(read @ 1..) = read_full(file, &mut part, bytes.len() as u64)
    {
        bytes.extend_from_slice(part.get(..read).unwrap_or_default());
    }
    let segment = Segment { header, file: name, bytes: &bytes };
    match segment.walk(None, &mut |_| Ok(())) {
        Ok(walked) => segment.corrupt(walked.end, Some(walked.last_sequence + 1), reason),
        Err(error) => error,
    }
}

/// A file that does not unpack is damaged, not a disk that fails.
pub(crate) fn unreadable(segment: u64, file: &str, error: io::Error) -> WalError {
    match error.kind() {
        io::ErrorKind::InvalidData => WalError::Corrupt {
            segment,
            file: file.to_owned(),
            offset: 0,
            sequence: None,
            reason: format!("it does not unpack: {error}"),
        },
        _ => WalError::io("read", file)(error),
    }
}
