//! Finding a record in a segment without reading what lies before it.
//!
//! Frames are self-describing and lie at multiples of 8: from anywhere in a segment the next one is
//! found by its checksum, which begins with the segment's own salt. So a search by halves needs no
//! index: about ten reads of 64 KiB in a segment of 64 MiB.

use std::io;
use std::sync::Arc;

use crate::WalError;
use crate::cursor::Cursor;
use crate::files::{OpenSegment, unreadable};
use crate::frame::{self, FRAME_HEADER_BYTES};
use crate::header::Header;
use crate::scan::INDEX_EVERY_BYTES;
use crate::storage::{StorageFile, read_full};

/// A record that is known to begin somewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) sequence: u64,
    pub(crate) offset: u64,
}

/// A cursor at `sequence` or up to about 128 KiB before it, from a place that is known on.
///
/// # Errors
/// `Corrupt`: an archived file does not unpack; `Io`.
pub(crate) fn cursor_near(
    open: &OpenSegment,
    header: &Header,
    mut from: Known,
    sequence: u64,
) -> Result<Cursor, WalError> {
    let unreadable = |error| unreadable(header.segment, &open.name, error);
    let mut end = open.file.len().map_err(unreadable)?.min(header.segment_bytes);
    while end.saturating_sub(from.offset) > 2 * INDEX_EVERY_BYTES {
        let middle = (from.offset + (end - from.offset) / 2).next_multiple_of(8);
        match first_frame(&open.file, header, middle, end).map_err(unreadable)? {
            Some(found) if found.sequence <= sequence => from = found,
            _ => end = middle,
        }
    }
    Ok(Cursor::new(Arc::clone(&open.file), open.name.clone(), *header, from.offset, from.sequence))
}

/// The first frame that begins from `offset` on and ends before `end`.
fn first_frame(
    file: &Arc<dyn StorageFile>,
    header: &Header,
    offset: u64,
    end: u64,
) -> io::Result<Option<Known>> {
    let mut bytes = INDEX_EVERY_BYTES;
    loop {
        let window = bytes.min(end - offset);
        let mut buffer = vec![0; usize::try_from(window).unwrap_or(usize::MAX)];
        let read = read_full(&**file, &mut buffer, offset)?;
        buffer.truncate(read);
        if let Some((at, sequence)) = frame_in(&buffer, header) {
            return Ok(Some(Known { sequence, offset: offset + at as u64 }));
        }
        if window == end - offset || (read as u64) < window {
            return Ok(None);
        }
        // The largest frame may be longer than the window.
        bytes = window * 4;
    }
}

/// The first whole frame in these bytes: where it begins, and its sequence.
fn frame_in(bytes: &[u8], header: &Header) -> Option<(usize, u64)> {
    let seed = header.seed();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= FRAME_HEADER_BYTES) {
        // Checksums only where the fields can be a frame's.
        let claimed = frame::claimed_sequence(rest).filter(|n| *n >= header.first_sequence);
        if claimed.is_some()
            && let Ok(frame) = frame::parse(rest, seed)
        {
            return Some((at, frame.sequence));
        }
        at += 8;
    }
    None
}
