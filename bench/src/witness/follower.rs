//! The log while it is written, record by record, from the bytes that a loss of power would leave.

use crate::segment::{Frame, HEADER_BYTES, Header};

/// Files as they would be found after a loss of power that loses all it can.
pub trait Files {
    /// A file's bytes from `from` on; `None`: there would be none of this name.
    fn bytes(&self, name: &str, from: usize) -> Option<Vec<u8>>;
}

/// A place in the log, which only moves on.
#[derive(Debug)]
pub(super) struct Follower {
    /// Number of the segment it stands in.
    segment: u64,
    /// That segment's header, once it was looked at.
    header: Option<Header>,
    offset: usize,
    /// Last sequence that was read.
    last: u64,
}

impl Default for Follower {
    fn default() -> Self {
        Self { segment: 1, header: None, offset: HEADER_BYTES, last: 0 }
    }
}

fn name(segment: u64) -> String {
    format!("segment-{segment:010}.wal")
}

impl Follower {
    /// The segment it stands in, and the offset.
    pub(super) fn place(&self) -> (u64, usize) {
        (self.segment, self.offset)
    }

    /// Stands right behind a frame that was read otherwise.
    pub(super) fn stand_behind(&mut self, file: &str, offset: u64, frame: &Frame<'_>) {
        let digits = file.trim_start_matches("segment-").trim_end_matches(".wal");
        self.segment = digits.parse().unwrap_or(u64::MAX);
        self.header = None;
        self.offset = usize::try_from(offset).unwrap_or(usize::MAX) + frame.bytes;
        self.last = frame.sequence;
    }

    /// Shows every record that has come since.
    pub(super) fn advance(&mut self, files: &dyn Files, visit: &mut dyn FnMut(u64, &[u8])) {
        loop {
            if self.header.is_none() {
                let bytes = files.bytes(&name(self.segment), 0).unwrap_or_default();
                self.header = Header::parse(&bytes).ok();
            }
            let Some(header) = self.header else { return };
            let bytes = files.bytes(&name(self.segment), self.offset).unwrap_or_default();
            let mut at = 0;
            while let Some(frame) = bytes.get(at..).and_then(|rest| header.frame(rest))
                && frame.sequence == self.last + 1
            {
                visit(frame.sequence, frame.payload);
                self.last = frame.sequence;
                at += frame.bytes;
            }
            self.offset += at;
            let next = files.bytes(&name(self.segment + 1), 0);
            let Some(next) = next.and_then(|bytes| Header::parse(&bytes).ok()) else { return };
            if next.first_sequence != self.last + 1 {
                return;
            }
            self.segment += 1;
            (self.header, self.offset) = (Some(next), HEADER_BYTES);
        }
    }
}
