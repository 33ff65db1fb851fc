//! Records from a place on, read from the files of a log that another process may be writing.
//!
//! For tools: gives what the log proves to be durable and nothing beyond, finds its beginning
//! without reading what lies before, and looks again for what has come since. Changes nothing.
//! Memory: about 64 KiB, and one segment while it is opened.

use crate::bisect::{self, Known};
use crate::copied;
use crate::cursor::Cursor;
use crate::files;
use crate::frame;
use crate::header::HEADER_BYTES;
use crate::scan::Scan;
use crate::storage::read_full;
use crate::{Entry, WalError};

/// Log that is read at once to see how far it has grown.
const LOOK_BYTES: usize = 1 << 20;

/// A log being read in order.
pub struct Records {
    scan: Scan,
    cursor: Option<Cursor>,
    next_sequence: u64,
    proven: u64,
    /// Where the frames of the last segment end, as far as they were looked at.
    end: Known,
}

impl Scan {
    /// Records from `sequence` on, or from the first there is.
    ///
    /// Reads and checks the last segment whole: what lies before is checked frame by frame as it is
    /// read, its chain is not.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn records_from(self, sequence: u64) -> Result<Records, WalError> {
        let last = self.headers.len().saturating_sub(1);
        let replayed = self.replay_segments(last, &mut |_| Ok(()), &mut |_| {})?;
        let end = replayed.segments.last().map_or(HEADER_BYTES, |segment| segment.used_bytes);
        Ok(Records {
            cursor: None,
            next_sequence: sequence.max(self.first_sequence()),
            proven: replayed.proven_sequence,
            end: Known { sequence: replayed.last_sequence + 1, offset: end },
            scan: self,
        })
    }
}

impl Records {
    /// The log that is read.
    #[must_use]
    pub fn scan(&self) -> &Scan {
        &self.scan
    }

    /// Highest sequence that the log proves to be durable, as of the last look.
    #[must_use]
    pub fn proven_sequence(&self) -> u64 {
        self.proven
    }

    /// Last sound record, proven or not, as of the last look; 0: there is none.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.end.sequence - 1
    }

    /// Bytes of log from a place in a segment on, about; `None`: from the first record on.
    pub(crate) fn bytes_from(&self, place: Option<(u64, u64)>) -> u64 {
        let (segment, offset) = place.unwrap_or((0, 0));
        let closed = self.scan.bytes_of_closed_from(segment);
        (closed + self.end.offset).saturating_sub(offset)
    }

    /// Sequence of the next record.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next_sequence
    }

    /// Goes on from `sequence`, or from the first there is.
    pub fn seek(&mut self, sequence: u64) {
        self.next_sequence = sequence.max(self.scan.first_sequence());
        self.cursor = None;
    }

    /// The next record; `None`: nothing more was proven at the last look.
    ///
    /// # Errors
    /// `Corrupt`, `Io`; the next call tries the same record again.
    #[expect(clippy::should_implement_trait, reason = "it lends what it gives")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, WalError> {
        if self.next_sequence > self.proven {
            return Ok(None);
        }
        let (sequence, proven) = (self.next_sequence, self.proven);
        if !self.stands_at(sequence) {
            self.cursor = Some(self.cursor_at(sequence)?);
        }
        let Some(cursor) = &mut self.cursor else { unreachable!("it was found just now") };
        let entry = cursor.next(proven)?;
        self.next_sequence += 1;
        Ok(Some(entry))
    }

    /// The payload of one record; `None`: it is not there, or not proven.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn read(&self, sequence: u64) -> Result<Option<Vec<u8>>, WalError> {
        if sequence < self.scan.first_sequence() || sequence > self.proven {
            return Ok(None);
        }
        let mut cursor = self.cursor_at(sequence)?;
        Ok(Some(cursor.next(self.proven)?.payload.to_vec()))
    }

    /// Looks how far the log has grown. Cost: a read of what is new, and an open.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn look_again(&mut self) -> Result<(), WalError> {
        loop {
            self.look_ahead()?;
            let known = self.scan.headers().len();
            self.scan.look_again()?;
            let Some(next) = self.scan.headers().get(known) else { return Ok(()) };
            // The segments before are closed: all of them is proven.
            let last = self.scan.headers().last().unwrap_or(next);
            self.proven = self.proven.max(last.first_sequence - 1);
            self.end = Known { sequence: last.first_sequence, offset: HEADER_BYTES };
        }
    }

    /// Reads the frames behind the known end of the last segment. Those that are not whole yet are
    /// looked at again later.
    fn look_ahead(&mut self) -> Result<(), WalError> {
        let Some(header) = self.scan.headers().last() else { return Ok(()) };
        let open = files::open(&*self.scan.storage, header.segment)?;
        let (seed, mut buffer) = (header.seed(), vec![0; LOOK_BYTES]);
        let mut bytes = LOOK_BYTES;
        loop {
            buffer.resize(bytes, 0);
            let read = read_full(&*open.file, &mut buffer, self.end.offset);
            let read =
                read.map_err(|error| files::unreadable(header.segment, &open.name, error))?;
            let mut at = 0;
            while let Some(rest) = buffer.get(at..read)
                && let Ok(frame) = frame::parse(rest, seed)
                && frame.sequence == self.end.sequence
                && frame.durable_upto <= frame.sequence
            {
                at += frame.bytes;
                self.end.sequence += 1;
                self.proven = self.proven.max(frame.durable_upto);
            }
            self.end.offset += at as u64;
            match at {
                // Longer than what was read, or not whole yet.
                0 if read < bytes || bytes > LOOK_BYTES => break,
                0 => bytes *= 2,
                _ => bytes = LOOK_BYTES,
            }
        }
        let copied = copied::upto(&*self.scan.storage, header)?;
        self.proven = self.proven.max(copied.min(self.end.sequence - 1));
        Ok(())
    }

    fn stands_at(&self, sequence: u64) -> bool {
        self.cursor.as_ref().is_some_and(|cursor| {
            let place = self.scan.place_holding(sequence);
            let holds = place.and_then(|place| self.scan.headers().get(place));
            cursor.next_sequence() == sequence
                && holds.is_some_and(|header| header.segment == cursor.segment())
        })
    }

    /// A cursor that stands exactly at `sequence`.
    fn cursor_at(&self, sequence: u64) -> Result<Cursor, WalError> {
        let place = self.scan.place_holding(sequence).expect("the log has begun");
        let header = self.scan.headers().get(place).expect("a place is one of a header");
        let open = files::open(&*self.scan.storage, header.segment)?;
        let first = Known { sequence: header.first_sequence, offset: HEADER_BYTES };
        let mut cursor = bisect::cursor_near(&open, header, first, sequence)?;
        while cursor.next_sequence() < sequence {
            cursor.next(self.proven)?;
        }
        Ok(cursor)
    }
}
