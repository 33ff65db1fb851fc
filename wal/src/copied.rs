//! How far a copy is certainly durable, in a file beside its segments.
//!
//! In a log the next record says so of the one before, and an idle log ends with a record that says
//! nothing else. A copy ends where the log was proven when it was made: the record that proves its
//! last one may not be durable itself, so it cannot be copied. What would have been the next frame
//! stands in a file of its own instead: readers then see all that was copied, and a start that finds
//! less refuses. Its checksum begins with the seed of the copy's last segment, so once another follows
//! it says nothing any more; nor does one that was not written whole.

use std::io;

use crate::WalError;
use crate::frame;
use crate::header::Header;
use crate::storage::{Storage, read_full};

/// The file, beside the segments.
const COPIED: &str = "copied-upto.bin";
/// Bytes that are read of it; it has fewer.
const BYTES_MAX: usize = 64;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Last record that is certainly durable in the copy.
    pub(crate) sequence: u64,
    /// Epoch of the log that was copied last.
    pub(crate) epoch: u32,
}

/// Says it; the copy is synced up to there.
pub(crate) fn write(storage: &dyn Storage, last: &Header, copied: Copied) -> Result<(), WalError> {
    let Copied { sequence, epoch } = copied;
    let mut bytes = Vec::new();
    frame::put(&mut bytes, sequence + 1, &epoch.to_le_bytes());
    frame::seal(&mut bytes, sequence, last.seed());
    let (file, is_new) = match storage.open(COPIED) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (storage.create(COPIED).map_err(WalError::io("create", COPIED))?, true)
        }
        opened => (opened.map_err(WalError::io("open", COPIED))?, false),
    };
    file.write_all_at(&bytes, 0).map_err(WalError::io("write", COPIED))?;
    file.sync_data().map_err(WalError::io("sync", COPIED))?;
    match is_new {
        true => storage.sync_dir().map_err(WalError::io("sync", "the directory")),
        false => Ok(()),
    }
}

/// Last record that is certainly durable in a copy whose last segment this is; 0: nothing is said.
pub(crate) fn upto(storage: &dyn Storage, last: &Header) -> Result<u64, WalError> {
    Ok(read(storage, last)?.map_or(0, |copied| copied.sequence))
}

/// What is said of a copy whose last segment this is; `None`: nothing is, as in every log that is no
/// copy.
pub(crate) fn read(storage: &dyn Storage, last: &Header) -> Result<Option<Copied>, WalError> {
    let file = match storage.open_read(COPIED) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(WalError::io("open", COPIED))?,
    };
    let mut bytes = [0; BYTES_MAX];
    let read = read_full(&*file, &mut bytes, 0).map_err(WalError::io("read", COPIED))?;
    let frame = frame::parse(bytes.get(..read).unwrap_or_default(), last.seed()).ok();
    Ok(frame.and_then(|frame| {
        let epoch = u32::from_le_bytes(frame.payload.try_into().ok()?);
        let sequence = frame.durable_upto;
        (frame.sequence == sequence + 1 && sequence >= last.first_sequence)
            .then_some(Copied { sequence, epoch })
    }))
}
