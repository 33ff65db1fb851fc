//! Reading frames of one segment from a place on, while the log is written behind them.

use std::sync::Arc;

use crate::files;
use crate::frame::{self, NoFrame};
use crate::header::Header;
use crate::scan::INDEX_EVERY_BYTES;
use crate::storage::{StorageFile, read_full};
use crate::{Entry, WalError};

/// A place in a segment, with what was read ahead of it.
pub(crate) struct Cursor {
    file: Arc<dyn StorageFile>,
    /// From the log's directory on, for people.
    name: String,
    header: Header,
    seed: u32,
    /// Where `buffer` begins in the file.
    buffer_offset: u64,
    buffer: Vec<u8>,
    /// Where the next frame begins in `buffer`.
    at: usize,
    next_sequence: u64,
    /// What was durable when `buffer` was read: later frames may be half in it.
    durable: u64,
}

impl Cursor {
    pub(crate) fn new(
        file: Arc<dyn StorageFile>,
        name: String,
        header: Header,
        offset: u64,
        next_sequence: u64,
    ) -> Self {
        let (seed, buffer) = (header.seed(), Vec::new());
        let (buffer_offset, at, durable) = (offset, 0, 0);
        Self { file, name, header, seed, buffer_offset, buffer, at, next_sequence, durable }
    }

    pub(crate) fn segment(&self) -> u64 {
        self.header.segment
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The next record, which must be durable: at most `durable`.
    pub(crate) fn next(&mut self, durable: u64) -> Result<Entry<'_>, WalError> {
        assert!(self.next_sequence <= durable, "only durable records are read");
        if self.next_sequence > self.durable {
            self.fill(INDEX_EVERY_BYTES as usize, durable)?;
        }
        let mut whole = self.parse();
        // What is read ahead may end in the frame's head, which tells how long it is, and a large
        // frame is longer than what is read ahead: so up to two looks.
        for _ in 0..2 {
            let Err(NoFrame::Short(bytes)) = whole else { break };
            self.fill(bytes.max(INDEX_EVERY_BYTES as usize), durable)?;
            whole = self.parse();
        }
        let (offset, sequence) = (self.buffer_offset + self.at as u64, self.next_sequence);
        let bytes = match whole {
            Ok((bytes, found)) if found == sequence => bytes,
            Ok((_, found)) => return Err(self.bad(NoFrame::Sequence(found))),
            Err(no_frame) => return Err(self.bad(no_frame)),
        };
        let from = self.at;
        self.at += bytes;
        self.next_sequence += 1;
        let frame = self.buffer.get(from..).map(|rest| frame::parse(rest, self.seed));
        let Some(Ok(frame)) = frame else { unreachable!("it was parsed just now") };
        let segment = self.header.segment;
        let (durable_upto, payload) = (frame.durable_upto, frame.payload);
        Ok(Entry { sequence, durable_upto, payload, segment, offset })
    }

    /// What stands at the next frame is none. The next look reads it anew.
    fn bad(&mut self, no_frame: NoFrame) -> WalError {
        let offset = self.buffer_offset + self.at as u64;
        self.forget();
        let (segment, sequence) = (self.header.segment, Some(self.next_sequence));
        let (file, reason) = (self.name.clone(), no_frame.to_string());
        WalError::Corrupt { segment, file, offset, sequence, reason }
    }

    /// Forgets what was read ahead: it may not be what the file holds.
    fn forget(&mut self) {
        self.buffer_offset += self.at as u64;
        self.at = 0;
        self.buffer.clear();
        self.durable = 0;
    }

    fn parse(&self) -> Result<(usize, u64), NoFrame> {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        frame::parse(rest, self.seed).map(|frame| (frame.bytes, frame.sequence))
    }

    /// Reads `bytes` from the next frame on.
    fn fill(&mut self, bytes: usize, durable: u64) -> Result<(), WalError> {
        self.forget();
        // A frame ends inside its segment, whatever its length says.
        let left = self.header.segment_bytes.saturating_sub(self.buffer_offset);
        self.buffer.resize(bytes.min(usize::try_from(left).unwrap_or(usize::MAX)), 0);
        match read_full(&*self.file, &mut self.buffer, self.buffer_offset) {
            Ok(read) => self.buffer.truncate(read),
            Err(error) => {
                // Its zeros must not pass for the file's bytes.
                self.buffer.clear();
                let (file, name) = (&*self.file, &*self.name);
                return Err(files::unreadable_frames(file, name, &self.header, error));
            }
        }
        self.durable = durable;
        Ok(())
    }
}
