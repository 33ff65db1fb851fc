//! A log as its headers tell it: what can be said of every segment without reading it.
//!
//! Only the last segment is read; what a closed one holds follows from its successor's header. So
//! nothing here proves that closed segments are sound: `Scan::replay` does.

use crate::bisect::{self, Known};
use crate::files::{self, OpenSegment};
use crate::frame;
use crate::header::{HEADER_BYTES, Header};
use crate::scan::{Replayed, Scan, SegmentReport};
use crate::spare;
use crate::{Options, WalError};

/// Room that a log has ahead, as its files tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomAhead {
    /// Bytes behind the frames of the last segment.
    pub last_segment_bytes: u64,
    /// Segments zeroed ahead. A start deletes them and zeroes its own.
    pub spare_segments: u64,
    /// Bytes of those.
    pub spare_bytes: u64,
}

impl Scan {
    /// What the log holds: closed segments by their headers, the last one read and checked.
    ///
    /// # Errors
    /// `Corrupt`: the last segment is damaged; `Io`.
    pub fn outline(&self) -> Result<Replayed, WalError> {
        let last = self.headers.len().saturating_sub(1);
        let mut replayed = self.replay_segments(last, &mut |_| Ok(()), &mut |_| {})?;
        let mut segments = Vec::with_capacity(self.headers.len());
        for pair in self.headers.windows(2) {
            let [header, next] = pair else { unreachable!("windows of two") };
            segments.push(self.closed(header, next)?);
        }
        segments.append(&mut replayed.segments);
        replayed.segments = segments;
        replayed.first_sequence = self.first_sequence();
        Ok(replayed)
    }

    /// A closed segment, as its successor tells it.
    fn closed(&self, header: &Header, next: &Header) -> Result<SegmentReport, WalError> {
        let open = files::open(&*self.storage, header.segment)?;
        let file_bytes = open.file.len();
        let file_bytes =
            file_bytes.map_err(|error| files::unreadable(header.segment, &open.name, error))?;
        let last_sequence = next.first_sequence - 1;
        let used_bytes = match file_bytes < header.segment_bytes || open.is_archived {
            // It was cut to its end when its successor came into use.
            true => file_bytes,
            false => end_of_frames(&open, header, last_sequence)?,
        };
        Ok(open.report(header, last_sequence, used_bytes, file_bytes, next.chain))
    }

    /// The room there is for records.
    ///
    /// # Errors
    /// `Io`.
    pub fn room_ahead(&self, last: &SegmentReport) -> Result<RoomAhead, WalError> {
        let names = self.storage.list().map_err(WalError::io("list", "the directory"))?;
        let mut room = RoomAhead {
            last_segment_bytes: last.header.segment_bytes.saturating_sub(last.used_bytes),
            spare_segments: 0,
            spare_bytes: 0,
        };
        for name in names.iter().filter(|name| spare::is_spare(name)) {
            // It may have come into use, or be half zeroed.
            let len = self.storage.open_read(name).and_then(|file| file.len()).unwrap_or(0);
            if len >= Options::SEGMENT_BYTES_MIN {
                room.spare_segments += 1;
                room.spare_bytes += len;
            }
        }
        Ok(room)
    }
}

/// Where the frames of a closed segment end that nobody has cut yet.
fn end_of_frames(open: &OpenSegment, header: &Header, last: u64) -> Result<u64, WalError> {
    if last < header.first_sequence {
        return Ok(HEADER_BYTES);
    }
    let first = Known { sequence: header.first_sequence, offset: HEADER_BYTES };
    let mut cursor = bisect::cursor_near(open, header, first, last)?;
    loop {
        let entry = cursor.next(last)?;
        if entry.sequence == last {
            return Ok(entry.offset + frame::frame_bytes(entry.payload.len()) as u64);
        }
    }
}
